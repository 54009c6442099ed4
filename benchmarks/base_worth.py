"""What fine-tuning a base is worth: about 64 and about 1,000 examples, the base reading them first or not.

    python -m benchmarks.base_worth NAME=BASE [NAME=BASE …]

Every training is one `tunesmith.train` with nothing but the base said (and `adapt: train`), on the same
examples. What was measured is kept in benchmarks/results/base_worth.json: a stopped benchmark goes on. The
table goes into docs/bases.md and the card of the embedded base, between its markers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

import tunesmith as ts
from benchmarks.base_choice import CELLS
from benchmarks.low_data import TFIDF, measure
from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table

__all__ = ["main", "table"]

RESULTS = ROOT / "benchmarks" / "results" / "base_worth.json"
ADAPTS: dict[str, dict[str, Any]] = {"": {}, " after reading them": {"adapt": "train"}}
console = Console()


def complete(bases: dict[str, str]) -> dict[str, Any]:
    """Measure what is not there yet; the small sets first."""
    saved: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"cells": {}}
    for cell in sorted(CELLS, key=lambda cell: cell.examples):
        for name, base in bases.items():
            for suffix, more in ADAPTS.items():
                kept = saved["cells"].setdefault(cell.key, {})
                if name + suffix in kept:
                    continue
                with tempfile.TemporaryDirectory() as place:
                    kept[name + suffix] = measure(cell, ts.Recipe(base=base, **more), Path(place))
                saved["machine"] = machine()
                RESULTS.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                console.print(f"[dim]{cell.key} {name}{suffix}[/] {kept[name + suffix]['macro_f1']:.3f}")
    return saved


def table(saved: dict[str, Any]) -> str:
    """Macro-F1 of every way beside TF-IDF that learned from the same examples."""
    cells = {cell.key: saved["cells"][cell.key] for cell in CELLS if saved["cells"].get(cell.key)}
    ways = list(dict.fromkeys(way for found in cells.values() for way in found))
    lines = [f"| way | {' | '.join(map(_named, cells))} |", "|---" * (len(cells) + 1) + "|"]
    # the latest: it has grown since the first were measured
    rival = [[*found.values()][-1][TFIDF] for found in cells.values()]
    lines.append(f"| {TFIDF} | {' | '.join(map(_score, rival))} |")
    for way in ways:
        scores = [found[way]["macro_f1"] if way in found else None for found in cells.values()]
        lines.append(f"| {way} | {' | '.join(map(_score, scores))} |")
    at = saved["machine"]
    told = f"Macro-F1; one seed; {at['processor']}, {at['date']}; `python -m benchmarks.base_worth`."
    return "\n".join([*lines, "", told])


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _named(key: str) -> str:
    data, examples, _ = key.split("/")
    return f"{data}, {examples} a label"


def main() -> None:
    """Measure the bases asked for, and show all that was measured."""
    parser = argparse.ArgumentParser(description="What fine-tuning a base is worth.")
    parser.add_argument("bases", nargs="*", metavar="NAME=BASE")
    asked = parser.parse_args()
    shown = table(complete(dict(base.split("=", 1) for base in asked.bases)))
    for page in ("docs/bases.md", "src/tunesmith/base/README.md"):
        write_table(page, "base-worth", shown)
    print(shown)


if __name__ == "__main__":
    main()
