"""Preferences on a public data set: the reference answer against what the untuned base writes.

    python -m benchmarks.preference_job

Writes benchmarks/results/preference_job.json and, between its markers, the table in docs/preferences.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import tunesmith as ts
from benchmarks.tables import ROOT, measure_each, write_table
from tunesmith.cli.progress import RichListener
from tunesmith.model.generator import load_generator
from tunesmith.writer import Writer

__all__ = ["main"]

RESULTS = ROOT / "benchmarks" / "results" / "preference_job.json"
SHARED = ROOT.parent / "shared" / "data"
NAMES = {"alpaca_9k": "Alpaca"}
KEPT = ("rows", "metrics", "intervals", "cost", "verdict", "provenance", "rivals", "curves")
TRAIN_ROWS, TEST_ROWS = 240, 200
# of the reference; what is rejected has as many, so that length says nothing
FEWEST_WORDS, MOST_WORDS = 5, 30
MOST_NEW_TOKENS = 60


def pairs(table: Path, rows: int, writer: Writer) -> list[dict[str, str]]:
    """As many rows of short answers, each beside what the base writes, cut to as many words."""
    found = pq.read_table(table).to_pylist()
    drawn = (found[row] for row in np.random.default_rng(0).permutation(len(found)).tolist())
    short = (row for row in drawn if FEWEST_WORDS <= len(row["completion"].split()) <= MOST_WORDS)
    kept = list(islice((row for row in short if len(row["prompt"].split()) <= MOST_WORDS), rows))
    written = writer.write([row["prompt"] for row in kept], max_new_tokens=MOST_NEW_TOKENS)
    return [
        {"prompt": row["prompt"], "chosen": row["completion"], "rejected": rejected}
        for row, answer in zip(kept, written, strict=True)
        if (rejected := _cut(answer.text, row["completion"])).strip()
    ]


def _cut(text: str, reference: str) -> str:
    return " ".join(text.split()[: len(reference.split())])


def _untuned() -> Writer:
    generator = load_generator("embedded")
    return Writer(generator, generator.window)


def _measure(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        place, writer = Path(directory), _untuned()
        for part, rows in (("train", TRAIN_ROWS), ("test", TEST_ROWS)):
            found = pairs(SHARED / name / f"{part}.parquet", rows, writer)
            lines = [json.dumps(pair) + "\n" for pair in found]
            (place / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
        run = ts.train(
            place / "train.jsonl", test=place / "test.jsonl", out=place / name, listener=RichListener()
        )
    report = run.report.to_dict()
    sizes = {"train_pairs": run.data_report.rows}
    return {key: report[key] for key in KEPT} | {"recipe": run.recipe.model_dump()} | sizes


def _table(results: dict[str, Any]) -> str:
    lines = ["| data | test pairs | way | reward accuracy | training |", "|---|---|---|---|---|"]
    for name, result in results["data"].items():
        minutes = f"{result['cost']['train_seconds'] / 60:.1f} min"
        data = f"{NAMES[name]} ({result['train_pairs']:,} pairs)"
        lines.append(_line(data, f"{result['rows']:,}", "tunesmith", result, minutes))
        lines += [_line("", "", rival["name"], rival, "") for rival in result["rivals"]]
    at = results["machine"]
    lines += [
        "",
        f"With 95 % intervals; embedded base, one of {at['cores']} cores "
        f"({at['processor']}), {at['date']}; `python -m benchmarks.preference_job`.",
    ]
    return "\n".join(lines)


def _line(data: str, rows: str, way: str, found: dict[str, Any], minutes: str) -> str:
    ends = found["intervals"]["reward_accuracy"]
    value = f"{found['metrics']['reward_accuracy']:.3f} ({ends['low']:.3f}–{ends['high']:.3f})"
    return f"| {' | '.join([data, rows, way, value, minutes])} |"


def main(names: list[str]) -> None:
    """Measure each data set and save what was found."""
    saved = measure_each(names or NAMES, NAMES, _measure, RESULTS)
    table = _table(saved)
    write_table("docs/preferences.md", "preferences", table)
    print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
