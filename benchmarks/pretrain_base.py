"""Make the embedded base: collect its text, pre-train, and say in its card where all of it is from.

    python -m benchmarks.pretrain_base WORK [--tokens N]

Runs as it is: on a GPU a base of 31 MB reads a billion tokens, on two cores a smaller one what an hour and a
half allows. Ctrl-C stops it with a checkpoint, and the same command goes on. Then WORK/base is to be compared
with the one in the package (`python -m benchmarks.base_worth before=embedded now=WORK/base`), copied over it,
and `benchmarks.main_job` run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.base_choice import MIXES, parts_of, table
from benchmarks.base_corpora import CORPORA, collect
from tunesmith.cli.progress import RichListener, resumable
from tunesmith.files import write_text
from tunesmith.pretraining.run import PretrainSettings, pretrain
from tunesmith.pretraining.sizes import Size
from tunesmith.pretraining.teaching import precision_of

__all__ = ["MIX", "card", "main", "settings_for"]

MIX = "meanings and comments"
_ALL = 1_000_000_000_000


def settings_for(cuda: bool, tokens: int | None = None) -> PretrainSettings:
    """What fits the machine: at most 32 MB in fp16, its tokenizer included."""
    if cuda:
        size, batch_tokens, rate, some = Size(6, 384, 6, 12_288), 131_072, 4e-3, 1_200_000_000
    else:
        size, batch_tokens, rate, some = Size(4, 256, 4, 8_192), 4_096, 4e-3, 5_600_000
    precision = precision_of("auto")
    return PretrainSettings(size, 512, tokens or some, batch_tokens, rate, precision, 0)


def collected(work: Path, most_bytes: int) -> dict[str, Any]:
    """What was kept of each corpus of the mix; those that are there are not collected again."""
    file = work / "corpora.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name in (name for name in MIXES[MIX] if not (work / f"{name}.txt").exists()):
        found[name] = collect(name, work, most_bytes)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def card(found: dict[str, Any]) -> str:
    """Origin, licence, and what was left out."""
    lines = [
        f"- `{name}`: {CORPORA[name].origin}; {found[name]['bytes'] / 1e6:.1f} MB, "
        f"{found[name]['dropped']:,} paragraphs left out."
        for name in MIXES[MIX]
    ]
    return "\n".join(
        [
            "\n## Origin and licence\n",
            "Made with `python -m benchmarks.pretrain_base`, from:\n",
            *lines,
            "\nLeft out is each paragraph that shares thirteen words in a row with a validation or test",
            "text of the demo set, AG News, BBC News, Reuters-21578, GoEmotions, SciTLDR, Alpaca, Dolly or",
            "Multi30k, or, where it is shorter, is all of one. Nothing of the training texts of AG News, BBC",
            "News, Reuters-21578, Alpaca, Dolly, Multi30k and the demo set is in it.\n",
            "## How it was chosen\n",
            "Small bases that had all read as many tokens:\n",
            "<!-- base-choice:begin -->",
            table(),
            "<!-- base-choice:end -->\n",
            "## What it is worth\n",
            "<!-- base-worth:begin -->",
            "<!-- base-worth:end -->\n",
            "Apache-2.0, as tunesmith itself. It is small and has read little: a start for classifiers, and",
            "no writer of text.\n",
        ]
    )


def main() -> None:
    """Collect, pre-train, and write the card; goes on where it was stopped."""
    parser = argparse.ArgumentParser(description="Make the embedded base.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--tokens", type=int)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    found = collected(asked.work, _ALL if cuda else 60_000_000)
    out = asked.work / "base"
    listener = RichListener()
    with resumable(listener) as stop:
        pretrain(
            parts_of(MIX, asked.work),
            out,
            settings_for(cuda, asked.tokens),
            resume=out.with_name("base.checkpoints").exists(),
            listener=listener,
            should_stop=stop,
        )
    readme = out / "README.md"
    write_text(readme, readme.read_text("utf-8").split("\nWhat it writes")[0] + card(found))


if __name__ == "__main__":
    main()
