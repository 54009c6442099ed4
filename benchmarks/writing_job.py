"""Prompts and completions on four public data sets, with nothing but two paths: quality beside the rivals.

    python -m benchmarks.writing_job [scitldr multi30k alpaca_9k dolly_3k]

Writes benchmarks/results/writing_job.json and, between its markers, the table in docs/writing.md.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import tunesmith as ts
from benchmarks.tables import ROOT, measure_each, write_table
from tunesmith.cli.progress import RichListener

__all__ = ["main"]

RESULTS = ROOT / "benchmarks" / "results" / "writing_job.json"
SHARED = ROOT.parent / "shared" / "data"
NAMES = {
    "scitldr": "SciTLDR (abstract → one sentence)",
    "multi30k": "Multi30k (English → German)",
    "alpaca_9k": "Alpaca (9,000 instructions)",
    "dolly_3k": "Dolly (3,000 instructions)",
}
KEPT = ("rows", "metrics", "intervals", "cost", "verdict", "provenance", "rivals")
SHOWN = (("rouge_l", 3), ("chrf", 1), ("bleu", 1), ("perplexity", 1))


def _measure(name: str) -> dict[str, Any]:
    sources = {part: SHARED / name / f"{part}.parquet" for part in ("train", "validation", "test")}
    with tempfile.TemporaryDirectory() as directory:
        run = ts.train(
            sources["train"],
            validation=sources["validation"] if sources["validation"].exists() else None,
            test=sources["test"],
            kind="completion",
            out=Path(directory) / name,
            listener=RichListener(),
        )
    report = run.report.to_dict()
    return {key: report[key] for key in KEPT} | {"recipe": run.recipe.model_dump()}


def _table(results: dict[str, Any]) -> str:
    lines = [
        "| data | rows answered | way | ROUGE-L | chrF | BLEU | perplexity | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results["data"].items():
        minutes = f"{result['cost']['train_seconds'] / 60:.1f} min"
        lines.append(_line(NAMES[name], f"{result['rows']:,}", "tunesmith", result, minutes))
        lines += [_line("", "", rival["name"], rival, "") for rival in result["rivals"]]
    at = results["machine"]
    lines += [
        "",
        f"On test rows, ROUGE-L with its 95 % interval; embedded base, {at['cores']} cores "
        f"({at['processor']}), {at['date']}; `python -m benchmarks.writing_job`.",
    ]
    return "\n".join(lines)


def _line(data: str, rows: str, way: str, found: dict[str, Any], minutes: str) -> str:
    scores = [_score(found, name, digits) for name, digits in SHOWN]
    return f"| {' | '.join([data, rows, way, *scores, minutes])} |"


def _score(found: dict[str, Any], name: str, digits: int) -> str:
    if name not in found["metrics"]:
        return "–"
    value = f"{found['metrics'][name]:.{digits}f}"
    if name != "rouge_l":
        return value
    ends = found["intervals"][name]
    return f"{value} ({ends['low']:.{digits}f}–{ends['high']:.{digits}f})"


def main(names: list[str]) -> None:
    """Measure each data set and save what was found."""
    saved = measure_each(names or NAMES, NAMES, _measure, RESULTS)
    table = _table(saved)
    write_table("docs/writing.md", "writing", table)
    print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
