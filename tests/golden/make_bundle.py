"""Make the bundle of format 1 that must always open: `python -m tests.golden.make_bundle`.

Run once, when the format was new. Run it again only for a new format, into a directory of its own:
what it made is proof that models made by earlier releases still answer the same.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.models import POLITICS, SPORTS, tiny_tokenizer
from tunesmith.bundle import FORMAT
from tunesmith.opening import load
from tunesmith.pipeline import train
from tunesmith.recipe import Recipe
from tunesmith.task import Task

__all__: list[str] = []

HERE = Path(__file__).parent
TASK = Task(labels=("sports", "politics, law", "no ⚖️"))
TEXTS = [*SPORTS, *POLITICS, "nothing of the kind was said", "", "the match " * 30]


def _base(directory: Path) -> Path:
    tokenizer = tiny_tokenizer()
    shape = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 32}
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, **shape)  # type: ignore[arg-type]
    GPT2LMHeadModel(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _data(path: Path) -> Path:
    kinds = zip(TASK.labels, (SPORTS, POLITICS, ["nothing of the kind was said"]), strict=True)
    rows = [
        {"text": f"{text} in round {number}", "label": label}
        for label, texts in kinds
        for text in texts
        for number in range(24 // len(texts))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def main() -> None:
    """Train, copy the bundle here, and write what it answers beside it."""
    target = HERE / f"bundle-v{FORMAT}"
    # from inside: no path of this machine may stand in what is committed
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        recipe = Recipe(base=str(_base(Path("base"))), epochs=12, learning_rate=0.01)
        run = train(_data(Path("tiny.jsonl")), task=TASK, recipe=recipe, out="run")
        shutil.copytree(run.model_path, target)
    answers = [
        {"text": text, **prediction.scores}
        for text, prediction in zip(TEXTS, load(target).predict(TEXTS), strict=True)
    ]
    (HERE / f"{target.name}.json").write_text(
        json.dumps(answers, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
