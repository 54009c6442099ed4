"""Report -> one self-contained HTML page: no script, no request, light and dark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tunesmith.evaluation.bars import confusions, heat_map, most_confused, rival_bars
from tunesmith.evaluation.curves import loss_curve, reliability, score_curve
from tunesmith.evaluation.generation.html import writing_as_html
from tunesmith.evaluation.learning_chart import learning_chart
from tunesmith.evaluation.page import label_rows, render_page, strongest
from tunesmith.evaluation.preference.html import preference_as_html
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.page import understanding_values
from tunesmith.evaluation.unmeasured import unmeasured_as_html
from tunesmith.evaluation.wording import MACRO_F1, beside_macro_f1, further

__all__ = ["as_html", "as_shared_html"]

_MOST_HEAT = 14
_MOST_CONFUSIONS = 10
# slices by a file or a column tell what stands in the data
_OF_TEXTS_ALONE = ("length", "cut")
_TEXT_SHOWN = 220
_TEXT_KEPT = 4_000


def as_html(report: Report, title: str) -> str:
    """The whole report as one page; every text in it is escaped."""
    if not report.rows:
        return unmeasured_as_html(report, title)
    if report.preference is not None:
        return preference_as_html(report, report.preference, title)
    if report.writing is not None:
        return writing_as_html(report, title)
    return render_page("report.html.jinja", report, title, _values(report) | {"rows_shown": True})


def as_shared_html(report: Report, title: str, style_url: str) -> str:
    """A report on labels for those who may not see the data: no text and no place of any row stands in it.

    Its style is `style_sheet`'s, at `style_url`: nothing in the page is inline.
    """
    report = _without_rows(report)
    values = _values(report) | {"rows_shown": False, "style_url": style_url}
    return render_page("report.html.jinja", report, title, values)


def _without_rows(report: Report) -> Report:
    told = report.understanding
    if told is not None:
        groups = tuple(replace(group, examples=(), words=()) for group in told.groups)
        slices = tuple(table for table in told.slices if table.kind in _OF_TEXTS_ALONE)
        told = replace(told, groups=groups, slices=slices, explained=())
    told_of = {name: value for name, value in report.provenance.items() if name != "data"}
    return replace(report, mistakes=(), understanding=told, provenance=told_of)


def _values(report: Report) -> dict[str, Any]:
    return _charts(report) | _tables(report) | understanding_values(report)


def _charts(report: Report) -> dict[str, Any]:
    assert report.calibration is not None, "labels have probabilities"
    curves = (loss_curve(report.curves), score_curve(report.curves))
    return {
        "curves": [curve for curve in curves if curve is not None],
        "rival_bars": rival_bars(report) if report.rivals else None,
        "heat_map": heat_map(report, most_confused(report, _MOST_HEAT)) if report.confusion else None,
        "heat_labels": min(_MOST_HEAT, len(report.labels)),
        "reliability": reliability(report.calibration),
        "learning_chart": learning_chart(report.learning_curve) if report.learning_curve else None,
    }


def _tables(report: Report) -> dict[str, Any]:
    return {
        "strongest": strongest(report, MACRO_F1),
        "confusions": report.mix_ups[:_MOST_CONFUSIONS] or confusions(report, _MOST_CONFUSIONS),
        "several": report.kind == "multi_label",
        "beside": beside_macro_f1(report),
        "further": further(report),
        "text_shown": _TEXT_SHOWN,
        "text_kept": _TEXT_KEPT,
        **label_rows(report),
    }
