"""Which architecture, vocabulary, optimizer and mix of text make the best base: small ones, as many tokens.

    python -m benchmarks.base_choice WORK [CHOICE …] [--tokens 600000]

WORK holds what `benchmarks.base_corpora` wrote. Each choice is pre-trained, then a head is fitted on its
frozen features: what the base itself knows. Writes benchmarks/results/base_choice/CHOICE.json and the
table in docs/bases.md, between its markers; without a CHOICE, only the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

import tunesmith as ts
from benchmarks.low_data import Cell, measure
from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table
from tunesmith.pretraining.corpus import Part
from tunesmith.pretraining.run import PretrainSettings, pretrain
from tunesmith.pretraining.sizes import SIZES, Architecture
from tunesmith.pretraining.teaching import precision_of
from tunesmith.training.state import OptimizerName

__all__ = ["CELLS", "CHOICES", "MIXES", "Choice", "main", "parts_of"]

RESULTS = ROOT / "benchmarks" / "results" / "base_choice"
# about 64 examples in all, and about 1,000
CELLS = [
    Cell("demo", 21, 0),
    Cell("demo", 333, 0),
    Cell("bbc_news", 13, 0),
    Cell("bbc_news", 200, 0),
    Cell("ag_news", 16, 0),
    Cell("ag_news", 250, 0),
]
MIXES: dict[str, dict[str, float]] = {
    "old and modern": {"modern": 1, "books": 1},
    "mostly modern": {"modern": 3, "books": 1},
    "meanings": {"modern": 1, "books": 1, "wordnet": 1},
    "meanings and comments": {"modern": 2, "books": 1, "wordnet": 2, "comments": 1},
    "all": {"modern": 2, "books": 1, "wordnet": 2, "comments": 1, "abstracts": 0.3, "documentation": 1},
}
console = Console()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a small base is made with."""

    mix: str = "old and modern"
    architecture: Architecture = "gpt2"
    optimizer: OptimizerName = "muon"
    learning_rate: float = 2e-3
    batch_tokens: int = 4096
    vocabulary: int = SIZES["nano"].vocabulary


_PLAIN = Choice()
CHOICES: dict[str, Choice] = {
    "plain": _PLAIN,
    "adamw": replace(_PLAIN, optimizer="adamw"),
    "faster": replace(_PLAIN, learning_rate=4e-3),
    "llama": replace(_PLAIN, architecture="llama"),
    "mostly-modern": replace(_PLAIN, mix="mostly modern"),
    "meanings": replace(_PLAIN, mix="meanings"),
    "comments": replace(_PLAIN, mix="meanings and comments"),
    "all": replace(_PLAIN, mix="all"),
    "small-vocabulary": replace(_PLAIN, mix="meanings and comments", vocabulary=3072),
    "large-vocabulary": replace(_PLAIN, mix="meanings and comments", vocabulary=12_288),
}


def parts_of(mix: str, work: Path) -> list[Part]:
    """The corpora of a mix, those whose held-out text is compared first."""
    return [Part(work / f"{name}.txt", share) for name, share in MIXES[mix].items()]


def make(choice: Choice, work: Path, tokens: int, out: Path) -> dict[str, Any]:
    """Pre-train one; returns what `pretrain.json` says."""
    settings = PretrainSettings(
        replace(SIZES["nano"], vocabulary=choice.vocabulary),
        256,
        tokens,
        choice.batch_tokens,
        choice.learning_rate,
        precision_of("auto"),
        0,
        choice.architecture,
        choice.optimizer,
    )
    return pretrain(parts_of(choice.mix, work), out, settings)


def judged(choice: Choice, work: Path, tokens: int) -> dict[str, Any]:
    """Bits a byte of held-out modern text, seconds, and macro-F1 of heads on frozen features."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "base"
        facts = make(choice, work, tokens, base)
        # the rivals know nothing of the base
        recipe = ts.Recipe(base=str(base), method="head", rival_seconds=0)
        scores = {}
        for cell in CELLS:
            with tempfile.TemporaryDirectory() as run:
                scores[cell.key] = measure(cell, recipe, Path(run))["macro_f1"]
    return {
        "choice": asdict(choice),
        "tokens": facts["tokens_seen"],
        "seconds": facts["training_seconds"],
        "modern_bits_per_byte": facts["curve"][-1]["bits_per_byte modern.txt"],
        "macro_f1": scores,
        "machine": machine(),
    }


def table() -> str:
    """What was measured, the choices in their order."""
    head = (
        "| mix | kind | vocabulary | optimizer, rate | bits a byte, modern | macro-F1, few | macro-F1, many |"
    )
    lines = [head, "| --- " * 7 + "|"]
    files = [RESULTS / f"{name}.json" for name in CHOICES]
    measured = [json.loads(file.read_text("utf-8")) for file in files if file.exists()]
    lines += map(_line, measured)
    at, tokens = measured[-1]["machine"], measured[-1]["tokens"]
    return "\n".join(
        [
            *lines,
            "",
            f"{SIZES['nano'].layers} × {SIZES['nano'].width}, "
            f"{tokens / 1e6:.1f} million tokens each; means over demo, BBC News and AG News of a head on "
            "frozen features, with about 64 and about 1,000 examples; "
            f"one core ({at['processor']}), {at['date']}; "
            "`python -m benchmarks.base_choice`.",
        ]
    )


def _line(found: dict[str, Any]) -> str:
    choice, scores = Choice(**found["choice"]), [found["macro_f1"][cell.key] for cell in CELLS]
    few, many = scores[::2], scores[1::2]
    mix = ", ".join(f"{name} {share:g}" for name, share in MIXES[choice.mix].items())
    return (
        f"| {mix} | {choice.architecture} | {choice.vocabulary:,} "
        f"| {choice.optimizer}, {choice.learning_rate:g} "
        f"| {found['modern_bits_per_byte']:.3f} | {sum(few) / len(few):.3f} | {sum(many) / len(many):.3f} |"
    )


def main() -> None:
    """Measure the choices asked for, and show all that were measured."""
    parser = argparse.ArgumentParser(description="Which small base is best.")
    parser.add_argument("work", type=Path)
    parser.add_argument("choices", nargs="*", choices=[*CHOICES, []])
    parser.add_argument("--tokens", type=int, default=600_000)
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in asked.choices:
        found = judged(CHOICES[name], asked.work, asked.tokens)
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    write_table("docs/bases.md", "base-choice", table())
    console.print(table())


if __name__ == "__main__":
    main()
