"""What each rival reaches and costs, on the demo set and on real news; no model is trained.

    python -m benchmarks.rivals [--data demo bbc_news ag_news] [--rows 4000] [--seconds 600]

The rivals are those of every report, of the embedded base. What was measured goes into
benchmarks/results/rivals.json, and the table into docs/rivals.md, between its markers.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from benchmarks.low_data import rows_of
from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table
from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.types import NotRun
from tunesmith.evaluation.wording import duration, milliseconds, score, size
from tunesmith.labels import rivals
from tunesmith.recipe import Recipe

__all__ = ["main", "table"]

RESULTS = ROOT / "benchmarks" / "results" / "rivals.json"
_WINDOW = 512


def judged(train: Dataset, test: Dataset, seconds: float) -> list[dict[str, Any]]:
    """The figures of each rival, or why it was not run."""
    found: list[dict[str, Any]] = []
    recipe = Recipe(max_tokens=_WINDOW, rival_seconds=seconds)
    for rival in rivals(recipe, train, test, lambda _who, _done, _total: None):
        if isinstance(rival, NotRun):
            found.append({"name": rival.name, "why": rival.why})
            continue
        metrics = measure(np.asarray(test.label_ids), rival.probabilities)
        found.append(
            {
                "name": rival.name,
                "how": rival.how,
                "macro_f1": metrics["macro_f1"],
                "log_loss": metrics["log_loss"],
                "train_seconds": rival.train_seconds,
                "milliseconds_per_text": rival.milliseconds_per_text,
                "size_bytes": rival.size_bytes,
            }
        )
    return found


def table(saved: dict[str, Any]) -> str:
    """A line for each rival and data set."""
    head = ("data", "rival", "macro-F1", "log-loss", "train", "ms a text", "on disk")
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name, found in saved["cells"].items():
        for rival in found["rivals"]:
            told = f"{name}, {found['train']:,} rows" if rival is found["rivals"][0] else ""
            lines.append(f"| {told} | {' | '.join(_cells(rival))} |")
    at = saved["machine"]
    said = f"{at['processor']}, {at['threads']} thread(s), {at['date']}; `python -m benchmarks.rivals`."
    return "\n".join([*lines, "", said])


def _cells(rival: dict[str, Any]) -> tuple[str, ...]:
    if "why" in rival:
        return rival["name"], "not run", "", "", "", ""
    return (
        rival["name"],
        score(rival["macro_f1"]),
        score(rival["log_loss"]),
        duration(rival["train_seconds"]),
        milliseconds(rival["milliseconds_per_text"]),
        size(rival["size_bytes"]),
    )


def main() -> None:
    """Measure, keep and show."""
    parser = argparse.ArgumentParser(description="What each rival reaches and costs.")
    parser.add_argument("--data", nargs="+", default=["demo", "bbc_news", "ag_news"])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=600)
    asked = parser.parse_args()
    saved: dict[str, Any] = {"machine": machine(), "cells": {}}
    for data in asked.data:
        train, test = rows_of(data, "train").drawn(asked.rows, 0), rows_of(data, "test")
        found = judged(train, test, asked.seconds)
        saved["cells"][data] = {"train": len(train), "test": len(test), "rivals": found}
        # what was measured stays where the rest is stopped
        RESULTS.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
        write_table("docs/rivals.md", "rivals", table(saved))
    print(table(saved))


if __name__ == "__main__":
    main()
