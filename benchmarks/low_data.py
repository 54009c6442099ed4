"""Few examples of each label: what `auto` does beside other ways of tunesmith and TF-IDF.

    python -m benchmarks.low_data [--base DIR] [--data demo …] [--examples 8 16 64] [--seeds 5]

Every training is one `tunesmith.train`, on the same examples for all ways; the test rows are fixed. What
was measured is kept, so that a stopped benchmark goes on. Writes benchmarks/results/low_data.json and,
between its markers, the tables in docs/few-examples.md; of another base a file of its own, and no tables.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import tunesmith as ts
from benchmarks.machine import machine
from benchmarks.same_accuracy import student
from benchmarks.tables import ROOT, write_table
from tunesmith.data.dataset import Dataset
from tunesmith.data.read import read
from tunesmith.data.write import write_dataset
from tunesmith.model.base import EMBEDDED
from tunesmith.model.load import load_classifier
from tunesmith.recipe import DataFacts, resolve

__all__ = ["main", "tables"]

RESULTS = ROOT / "benchmarks" / "results"
SHARED = ROOT.parent / "shared" / "data"
DEMO = ROOT / "src" / "tunesmith" / "demo"
PAGE = "docs/few-examples.md"
TEST_ROWS = 1000
# long articles are cut, for time; TF-IDF reads the whole of them
MOST_TOKENS = {"demo": 128, "ag_news": 128, "bbc_news": 64}
NAMES = {"demo": "demo, 3 labels", "ag_news": "AG News, 4 labels", "bbc_news": "BBC News, 5 labels"}
TFIDF, PLAIN, AUTO, HEAD = "TF-IDF + LR", "`full` as for many", "`auto`", "`head`"
Results = dict[str, Any]
console = Console()


@dataclass(frozen=True, slots=True)
class Cell:
    """What is learned, from how many examples of each label, drawn with which seed."""

    data: str
    examples: int
    seed: int

    @property
    def key(self) -> str:
        """What its measurements are kept under."""
        return f"{self.data}/{self.examples}/{self.seed}"


def recipes(base: str) -> dict[str, ts.Recipe]:
    """The ways that are compared; each leaves to tunesmith what it does not name."""
    classifier = load_classifier(base, ("a", "b"))
    plain = resolve(ts.Recipe(), DataFacts(10_000, 100.0, 100, (5_000, 5_000), 512, classifier.parameters))
    as_for_many = ("learning_rate", "target_replication", "token_dropout", "validation_fraction")
    values = {name: getattr(plain, name) for name in as_for_many}
    return {
        PLAIN: ts.Recipe(base=base, method="full", epochs=12, dropout=_dropout(classifier.model), **values),
        HEAD: ts.Recipe(base=base, method="head"),
        AUTO: ts.Recipe(base=base),
    }


def _dropout(model: Any) -> float:
    """What the base was made with."""
    return float(getattr(model.config, "resid_pdrop", 0.0))


def drawn(whole: Dataset, examples: int, seed: int) -> Dataset:
    """`examples` rows of each label."""
    order = np.random.default_rng(seed).permutation(len(whole))
    ids = np.asarray(whole.label_ids)[order]
    rows = [order[ids == label][:examples] for label in range(len(whole.task.labels))]
    return whole.take(sorted(int(row) for row in np.concatenate(rows)))


def rows_of(data: str, part: str) -> Dataset:
    """The rows of a part of a data set; at most TEST_ROWS of the test part, always the same."""
    whole = read(DEMO / f"{part}.jsonl" if data == "demo" else SHARED / data / f"{part}.parquet")
    chosen = np.random.default_rng(0).permutation(len(whole))[: TEST_ROWS if part == "test" else None]
    return whole.take(sorted(int(row) for row in chosen))


def measure(cell: Cell, recipe: ts.Recipe, place: Path) -> dict[str, Any]:
    """Train once; the rivals are those of the report, which learned from what training learned from."""
    train, test = place / "train.jsonl", place / "test.jsonl"
    write_dataset(train, drawn(rows_of(cell.data, "train"), cell.examples, cell.seed))
    write_dataset(test, rows_of(cell.data, "test"))
    recipe = recipe.model_copy(update={"seed": cell.seed, "max_tokens": MOST_TOKENS[cell.data]})
    began = time.process_time()
    run = ts.train(train, test=test, recipe=recipe, out=place / "run")
    report = run.report.to_dict()
    rivals = {rival["name"]: rival["metrics"]["macro_f1"] for rival in report["rivals"]}
    return {
        "macro_f1": report["metrics"]["macro_f1"],
        TFIDF: rivals[TFIDF],
        "train_seconds": report["cost"]["train_seconds"],
        "processor_seconds": time.process_time() - began,
        "recipe": run.recipe.model_dump(mode="json"),
    }


def cells(asked: argparse.Namespace) -> Iterator[Cell]:
    """Whole seeds first, so that a stopped benchmark has compared something."""
    for seed in range(asked.seeds):
        for examples in asked.examples:
            for data in asked.data:
                yield Cell(data, examples, seed)


def complete(asked: argparse.Namespace, file: Path) -> Results:
    """Measure what `file` does not hold yet."""
    saved: Results = json.loads(file.read_text("utf-8")) if file.exists() else {"cells": {}}
    saved["machine"] = machine()
    ways = recipes(asked.base)
    for cell in cells(asked):
        kept = saved["cells"].setdefault(cell.key, {})
        for way in (way for way in ways if way not in kept):
            with tempfile.TemporaryDirectory() as place:
                kept[way] = measure(cell, ways[way], Path(place))
            console.print(
                f"[dim]{cell.key} {way}[/] {kept[way]['macro_f1']:.3f} ({TFIDF} {kept[way][TFIDF]:.3f})"
            )
            file.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return saved


def scores(saved: Results, data: str, examples: int) -> dict[str, list[float]]:
    """Way -> macro-F1 of each seed; TF-IDF is that which learned from all examples, as `auto` does."""
    prefix = f"{data}/{examples}/"
    found = [cell for key, cell in saved["cells"].items() if key.startswith(prefix) and len(cell) == 3]
    of_ways = {way: [cell[way]["macro_f1"] for cell in found] for way in (PLAIN, HEAD, AUTO)}
    return {TFIDF: [cell[AUTO][TFIDF] for cell in found], **of_ways}


def difference(first: list[float], second: list[float]) -> str:
    """The 95 % interval of the paired difference."""
    differences = np.subtract(first, second)
    half = student(len(first) - 1) * differences.std(ddof=1) / np.sqrt(len(first))
    return f"{differences.mean() - half:+.3f} to {differences.mean() + half:+.3f}"


def tables(saved: Results) -> str:
    """A table for each data set, and what was measured on."""
    lines = []
    for data, name in NAMES.items():
        lines += [f"**{name}**", "", "| examples a label | way | macro-F1 | beside plain | beside TF-IDF |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for examples in (8, 16, 64):
            found = scores(saved, data, examples)
            lines += [_line(examples, way, found) for way in found if len(found[way]) > 1]
        lines.append("")
    at = saved["machine"]
    return "\n".join(
        [*lines, f"{at['threads']} core ({at['processor']}), {at['date']}; `python -m benchmarks.low_data`."]
    )


def _line(examples: int, way: str, found: dict[str, list[float]]) -> str:
    beside = [difference(found[way], found[other]) if way != other else "" for other in (PLAIN, TFIDF)]
    shown = [f"{examples}" if way == TFIDF else "", way, f"{np.mean(found[way]):.3f}", *beside]
    return f"| {' | '.join(shown)} |"


def main() -> None:
    """Measure what is asked for and is not there yet, and write the tables."""
    parser = argparse.ArgumentParser(description="Few examples of each label.")
    parser.add_argument("--base", default=EMBEDDED)
    parser.add_argument("--data", nargs="*", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--examples", nargs="*", type=int, default=[8, 16, 64])
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    suffix = "" if asked.base == EMBEDDED else f"_{Path(asked.base).name}"
    saved = complete(asked, RESULTS / f"low_data{suffix}.json")
    if asked.base == EMBEDDED:
        write_table(PAGE, "few-examples", tables(saved))
    console.print(tables(saved))


if __name__ == "__main__":
    main()
