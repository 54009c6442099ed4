"""Report -> one self-contained HTML page: no script, no request, light and dark."""

from __future__ import annotations

from typing import Any

from tunesmith.evaluation.bars import confusions, heat_map, label_bar, most_confused, rival_bars
from tunesmith.evaluation.curves import f1_curve, loss_curve, reliability
from tunesmith.evaluation.types import Report, RivalScore
from tunesmith.evaluation.wording import (
    beside_macro_f1,
    clip,
    duration,
    further,
    memory,
    milliseconds,
    plain,
    score,
    signed,
    span,
    weakest,
)

__all__ = ["as_html"]

_MOST_HEAT = 14
_MOST_CONFUSIONS = 10
_WEAKEST_FIRST = 20
_TEXT_SHOWN = 220
_TEXT_KEPT = 4_000


def as_html(report: Report, title: str) -> str:
    """The whole report as one page; every text in it is escaped."""
    page = _environment().get_template("report.html.jinja")
    return str(page.render(report=report, title=plain(title), **_charts(report), **_tables(report)))


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tunesmith.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clip": clip,
        "duration": duration,
        "memory": memory,
        "label_bar": label_bar,
        "milliseconds": milliseconds,
        "plain": plain,
        "score": score,
        "signed": signed,
        "span": span,
    }
    return environment


def _charts(report: Report) -> dict[str, Any]:
    curves = (loss_curve(report.curves), f1_curve(report.curves))
    return {
        "curves": [curve for curve in curves if curve is not None],
        "rival_bars": rival_bars(report) if report.rivals else None,
        "heat_map": heat_map(report, most_confused(report, _MOST_HEAT)) if report.confusion else None,
        "heat_labels": min(_MOST_HEAT, len(report.labels)),
        "reliability": reliability(report.calibration),
    }


def _tables(report: Report) -> dict[str, Any]:
    many = len(report.labels) > _WEAKEST_FIRST
    return {
        "strongest": _strongest(report),
        "many_labels": many,
        "per_label": weakest(report.per_label) if many else report.per_label,
        "confusions": report.mix_ups[:_MOST_CONFUSIONS] or confusions(report, _MOST_CONFUSIONS),
        "several": report.kind == "multi_label",
        "beside": beside_macro_f1(report),
        "further": further(report),
        "text_shown": _TEXT_SHOWN,
        "text_kept": _TEXT_KEPT,
    }


def _strongest(report: Report) -> RivalScore | None:
    return max(report.rivals, key=lambda rival: rival.metrics["macro_f1"], default=None)
