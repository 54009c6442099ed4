"""What `tunesmith check` finds of faults that were planted, and what a million rows cost it.

    python -m benchmarks.check [--rows 1_000_000] [--only planted|size]

Plants 200 wrong labels, 100 near-duplicates across the split and 50 texts cut in the middle into BBC News and
AG News, and counts what is found. Then checks rows sampled from AG News, each with half of its words
exchanged, in a process of its own, for all but wrong labels. Writes benchmarks/results/check.json and,
between its markers, the table in docs/your-data.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table
from tunesmith.training.memory import peak_memory_bytes

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "check.json"
SHARED = ROOT.parent / "shared" / "data"
NAMES = {"bbc_news": "BBC News", "ag_news": "AG News"}
FAULTS = {
    "labels": "wrong labels",
    "near": "near-duplicates across the split",
    "cut": "texts cut in the middle",
}
WRONG, NEAR, CUT = 200, 100, 50
_EXCHANGED = 0.1  # of the words of a near-duplicate, in one place
_SAMPLED_EXCHANGED = 0.5
console = Console()

Rows = list[tuple[str, str]]


def rows_of(name: str, part: str) -> Rows:
    """The distinct texts of a set, and their labels."""
    import pyarrow.parquet as pq

    table = pq.read_table(SHARED / name / f"{part}.parquet", columns=["text", "label"])
    return list(dict(zip(*table.to_pydict().values(), strict=True)).items())


def plant(train: Rows, test: Rows, seed: int) -> tuple[Rows, Rows, dict[str, set[int]]]:
    """The sets with faults, and where they are: training rows, and of near-duplicates test rows, from 0."""
    random = np.random.default_rng(seed)
    labels = sorted({label for _, label in train})
    drawn = random.permutation(len(train))[: WRONG + NEAR + CUT]
    wrong, near, cut = np.split(drawn, [WRONG, WRONG + NEAR])
    train, test = list(train), list(test)
    twins = {len(test) + place for place in range(NEAR)}
    test += [(_reworded(train[row][0], random), train[row][1]) for row in near]
    for row in wrong:
        text, label = train[row]
        train[row] = text, str(random.choice([other for other in labels if other != label]))
    for row in cut:
        text, label = train[row]
        train[row] = text[: int(len(text) * random.uniform(0.4, 0.8))].rstrip(".!?\"' "), label
    return train, test, {"labels": {*wrong.tolist()}, "near": twins, "cut": {*cut.tolist()}}


def _reworded(text: str, random: np.random.Generator) -> str:
    """The text with a tenth of its words, all in one place, left out."""
    words = text.split()
    gone = max(1, round(_EXCHANGED * len(words)))
    start = int(random.integers(0, len(words) - gone + 1))
    return " ".join([*words[:start], *words[start + gone :]])


def found_of(name: str) -> dict[str, Any]:
    """Precision and recall of each kind of fault."""
    train, test, planted = plant(rows_of(name, "train"), rows_of(name, "test"), 0)
    with tempfile.TemporaryDirectory() as place:
        paths = [
            _written(Path(place) / f"{part}.csv", rows) for part, rows in (("train", train), ("test", test))
        ]
        own, before = _found(*paths), _found_before(name, Path(place))
    told = {
        kind: {
            "planted": len(planted[kind]),
            "told": len(own[kind]),
            "found": len(own[kind] & planted[kind]),
            "told_without": before[kind],
        }
        for kind in FAULTS
    }
    return {"rows": len(train), "faults": told}


def _found_before(name: str, place: Path) -> dict[str, int]:
    """How many rows are told where nothing was planted: what the data itself holds."""
    paths = [_written(place / f"{part}-plain.csv", rows_of(name, part)) for part in ("train", "test")]
    return {kind: len(rows) for kind, rows in _found(*paths).items()}


def _written(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(
            [("text", "label"), *((" ".join(text.split()), of) for text, of in rows)]
        )
    return path


def _found(train: Path, test: Path) -> dict[str, set[int]]:
    """Which rows `tunesmith check` tells of, from 0."""
    from tunesmith.checking import check_file
    from tunesmith.data.facts import facts_of
    from tunesmith.data.length_checks import cut_off_rows

    dataset, report, audit = check_file(train, held_out={"test": test})
    assert audit.noise is not None
    near = {pair.other for pair in report.near_pairs if pair.held_out}
    return {
        "labels": {_row(doubt.where) for doubt in audit.noise.doubts},
        "near": {_row(where) for where in near},
        "cut": {*cut_off_rows(facts_of(dataset)).tolist()},
    }


def _row(where: str) -> int:
    return int(where.rsplit(":", 1)[1]) - 2


def sampled(path: Path, rows: int, seed: int = 0) -> int:
    """Write rows like those of AG News: its texts, with half of the words of others of the same label."""
    random = np.random.default_rng(seed)
    texts = rows_of("ag_news", "train")
    words: dict[str, list[str]] = {}
    for text, label in texts:
        words.setdefault(label, []).extend(text.split())
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for at in random.integers(0, len(texts), rows).tolist():
            text, label = texts[at]
            own, pool = text.split(), words[label]
            others = random.integers(0, len(pool), len(own)).tolist()
            keep = (random.random(len(own)) >= _SAMPLED_EXCHANGED).tolist()
            mixed = [a if kept else pool[b] for a, b, kept in zip(own, others, keep, strict=True)]
            writer.writerow([" ".join(mixed), label])
    return path.stat().st_size


def size(rows: int) -> dict[str, float]:
    """Seconds and the most memory of the check of many rows, read from CSV with an empty cache."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "news.csv"
        written = sampled(data, rows)
        command = [sys.executable, "-m", "benchmarks.check", "--child", str(data)]
        variables = {**os.environ, "TUNESMITH_CACHE": str(Path(place) / "cache"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {"rows": rows, "bytes": written, **json.loads(done.stdout.splitlines()[-1])}


def check_all_but_labels(data: str) -> dict[str, float]:
    """Everything but wrong labels and lengths in tokens, in this process."""
    from tunesmith.audit.look import audit
    from tunesmith.data.check import check
    from tunesmith.data.near import MOST_TEXTS
    from tunesmith.data.read import read

    start = time.perf_counter()
    dataset = read(data)
    seconds = {"read_seconds": time.perf_counter() - start}
    report = check(dataset, most_compared=MOST_TEXTS)
    seconds["check_seconds"] = time.perf_counter() - start - seconds["read_seconds"]
    audit(dataset, {}, noise=False)
    total = time.perf_counter() - start
    return {
        **seconds,
        "total_seconds": total,
        "peak_bytes": peak_memory_bytes(),
        "near_duplicates": report.near_duplicates,
    }


def markdown(saved: dict[str, Any]) -> str:
    """Both tables."""
    lines = [
        "| data | rows | planted | found | told in all | told before anything was planted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in saved["planted"].items():
        for kind, each in found["faults"].items():
            planted = f"{each['planted']} {FAULTS[kind]}"
            cells = [
                NAMES[name],
                f"{found['rows']:,}",
                planted,
                each["found"],
                each["told"],
                each["told_without"],
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    for each in saved["sizes"].values():
        lines += [
            "",
            f"{each['rows']:,} rows made from those of AG News ({each['bytes'] / 2**20:,.0f} MiB of CSV), "
            f"checked for everything but wrong labels: {each['total_seconds']:.0f} s, of which "
            f"{each['read_seconds']:.0f} to read them, and {each['peak_bytes'] / 2**20:,.0f} MiB of memory.",
        ]
    at = saved["machine"]
    lines += ["", f"{at['cores']} cores ({at['processor']}), {at['date']}; `python -m benchmarks.check`."]
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, beside what was measured before."""
    parser = argparse.ArgumentParser(description="What the check finds, and what it costs.")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--only", choices=["planted", "size"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(check_all_but_labels(asked.child)))
        return
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"planted": {}, "sizes": {}}
    saved["machine"] = machine()
    if asked.only != "size":
        saved["planted"] = {name: found_of(name) for name in NAMES}
    if asked.only != "planted":
        saved["sizes"] |= {str(rows): size(rows) for rows in asked.rows}
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n")
    console.print(markdown(saved), markup=False)
    write_table("docs/your-data.md", "check", markdown(saved))


if __name__ == "__main__":
    main()
