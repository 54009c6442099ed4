"""Report -> one self-contained HTML page: no script, no request, light and dark."""

from __future__ import annotations

from typing import Any

from tunesmith.evaluation.bars import confusions, heat_map, most_confused, rival_bars
from tunesmith.evaluation.curves import loss_curve, reliability, score_curve
from tunesmith.evaluation.generation.html import writing_as_html
from tunesmith.evaluation.learning_chart import learning_chart
from tunesmith.evaluation.page import label_rows, render_page, strongest
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.page import understanding_values
from tunesmith.evaluation.unmeasured import unmeasured_as_html
from tunesmith.evaluation.wording import MACRO_F1, beside_macro_f1, further

__all__ = ["as_html"]

_MOST_HEAT = 14
_MOST_CONFUSIONS = 10
_TEXT_SHOWN = 220
_TEXT_KEPT = 4_000


def as_html(report: Report, title: str) -> str:
    """The whole report as one page; every text in it is escaped."""
    if not report.rows:
        return unmeasured_as_html(report, title)
    if report.writing is not None:
        return writing_as_html(report, title)
    values = _charts(report) | _tables(report) | understanding_values(report)
    return render_page("report.html.jinja", report, title, values)


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
