"""DataReport and Audit -> one self-contained HTML page."""

from __future__ import annotations

from typing import Any

from tunesmith.audit.charts import count_bars, length_histogram
from tunesmith.audit.types import Audit
from tunesmith.data.check import DataReport
from tunesmith.evaluation.page import render_page

__all__ = ["as_html"]

_MOST_LABELS, _MOST_LANGUAGES = 20, 8
_MOST_DOUBTS, _MOST_PAIRS = 100, 50
_TEXT_SHOWN = 160


def as_html(report: DataReport, found: Audit, title: str) -> str:
    """Everything that was found, as a page; every text in it is escaped."""
    return render_page("check.html.jinja", report, title, _values(report, found))


def _values(report: DataReport, found: Audit) -> dict[str, Any]:
    lengths = report.token_lengths
    by_count = sorted(report.label_counts.items(), key=lambda pair: -pair[1])
    return {
        "headline": _headline(report),
        "found": found,
        "label_bars": count_bars("labels", "Rows of each label", by_count[:_MOST_LABELS]),
        "labels_left": max(0, len(by_count) - _MOST_LABELS),
        "lengths": length_histogram(lengths.histogram) if lengths and lengths.histogram else None,
        "languages": _languages(found),
        "doubts": found.noise.doubts[:_MOST_DOUBTS] if found.noise else (),
        # leaks first: they make a test untrue
        "pairs": sorted(report.near_pairs, key=lambda pair: pair.held_out is None)[:_MOST_PAIRS],
        "text_shown": _TEXT_SHOWN,
        "counts": {level: _counted(report, level) for level in ("error", "warning", "info")},
    }


def _languages(found: Audit) -> Any:
    languages = found.languages
    if languages is None or not languages.found:
        return None
    counts = [(language.code, language.texts) for language in languages.found[:_MOST_LANGUAGES]]
    return count_bars("languages", "Texts by language", [*counts, ("not sure", languages.unsure)])


def _counted(report: DataReport, severity: str) -> int:
    return sum(problem.severity == severity for problem in report.problems)


def _headline(report: DataReport) -> str:
    errors, warnings = _counted(report, "error"), _counted(report, "warning")
    if errors:
        return f"Not fit to train on: {errors} {'fault' if errors == 1 else 'faults'} to mend first"
    if warnings:
        return f"Fit to train on, with {warnings} {'thing' if warnings == 1 else 'things'} to look at"
    return "Fit to train on"
