"""The main job on the demo set, three of news and one of comments, with nothing but two paths: quality beside
the rivals.

    python -m benchmarks.main_job [--out DIR] [demo bbc_news ag_news reuters21578 go_emotions]

With `--out` the runs stay there, each under its data's name.
Writes benchmarks/results/main_job.json and, between its markers, the table in README.md.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import tunesmith as ts
from benchmarks.tables import ROOT, measure_each, write_table
from tunesmith.cli.progress import RichListener
from tunesmith.evaluation.rival import MAJORITY, NGRAMS, TFIDF

__all__ = ["main"]

RESULTS = ROOT / "benchmarks" / "results" / "main_job.json"
SHARED = ROOT.parent / "shared" / "data"
DEMO = ROOT / "src" / "tunesmith" / "demo"
SHOWN = (MAJORITY, TFIDF, NGRAMS)
"""The rivals of the table"""
NAMES = {
    "demo": "demo (in the package)",
    "bbc_news": "BBC News",
    "ag_news": "AG News (10,000 rows)",
    "reuters21578": "Reuters-21578 (90 topics, several a text)",
    "go_emotions": "GoEmotions (28 emotions, several a text)",
}


def _sources(name: str) -> dict[str, Path]:
    if name == "demo":
        return {part: DEMO / f"{part}.jsonl" for part in ("train", "validation", "test")}
    return {part: SHARED / name / f"{part}.parquet" for part in ("train", "test")}


def _measure(name: str, place: Path) -> dict[str, Any]:
    sources = _sources(name)
    run = ts.train(
        sources["train"],
        validation=sources.get("validation"),
        test=sources["test"],
        out=place / name,
        listener=RichListener(),
    )
    report = run.report.to_dict()
    kept = ("rows", "labels", "metrics", "intervals", "cost", "verdict", "provenance")
    return {key: report[key] for key in (*kept, "rivals")} | {"recipe": run.recipe.model_dump()}


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"| data | test rows | {' | '.join(SHOWN)} | tunesmith, embedded base | training |",
        f"|---|---|{'---|' * len(SHOWN)}---|---|",
    ]
    for name, result in results["data"].items():
        scores = {rival["name"]: _score(rival["metrics"], rival["intervals"]) for rival in result["rivals"]}
        rivals = " | ".join(scores.get(name, "–") for name in SHOWN)
        ours = _score(result["metrics"], result["intervals"])
        minutes = result["cost"]["train_seconds"] / 60
        lines.append(f"| {NAMES[name]} | {result['rows']:,} | {rivals} | {ours} | {minutes:.1f} min |")
    at = results["machine"]
    lines += [
        "",
        f"Macro-F1 on the test split with its 95 % interval; {at['cores']} cores ({at['processor']}), "
        f"{at['date']}; `python -m benchmarks.main_job`.",
    ]
    return "\n".join(lines)


def _score(metrics: dict[str, float], intervals: dict[str, Any]) -> str:
    interval = intervals["macro_f1"]
    return f"{metrics['macro_f1']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


def main() -> None:
    """Measure each data set and save what was found."""
    parser = argparse.ArgumentParser(description="The main job beside its rivals.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        _measured(asked.names or list(NAMES), asked.out or Path(place))


def _measured(names: list[str], place: Path) -> None:
    saved = measure_each(names, NAMES, partial(_measure, place=place), RESULTS)
    table = _table(saved)
    write_table("README.md", "results", table)
    print(table)


if __name__ == "__main__":
    main()
