"""What the pages start from: a small news.csv and test.csv, and a finished run."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest

from tests.docs.blocks import Block, run_console

_DEMO = files("tunesmith") / "demo"


def _write_sample(source: str, path: Path, rows_per_label: int) -> None:
    """The first sentences of the first demo rows of each label, as CSV: short, as they are often read."""
    by_label: dict[str, list[str]] = {}
    for line in (_DEMO / source).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_label.setdefault(row["label"], []).append(row["text"].split(". ")[0])
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["text", "label"])
        for number in range(rows_per_label):
            table.writerows([by_label[label][number], label] for label in sorted(by_label))


def _write_pairs(path: Path, rows: int) -> None:
    """Prompts that ask for colours."""
    colours = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}
    things = list(colours)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            thing = things[number % len(things)]
            row = {
                "prompt": f"colour of {thing}, {number}",
                "completion": f"It is {colours[thing]} ({number}).",
            }
            stream.write(json.dumps(row) + "\n")


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with 36 training rows, 24 test rows and 80 prompts."""
    directory = tmp_path_factory.mktemp("start")
    _write_sample("train.jsonl", directory / "news.csv", 12)
    _write_sample("test.jsonl", directory / "test.csv", 8)
    _write_pairs(directory / "pairs.jsonl", 80)
    return directory


@pytest.fixture(scope="session")
def finished_run(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on news.csv, as most pages have it at runs/news."""
    run = tmp_path_factory.mktemp("finished") / "news"
    typed = f"$ tunesmith train news.csv --test test.csv --epochs 3 --out {run}\n"
    code, said = run_console(Block("console", typed, 0), start)
    assert code == 0, said
    return run
