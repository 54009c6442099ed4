"""Comparison -> one self-contained HTML page: no script, no request, light and dark."""

from __future__ import annotations

from tunesmith.evaluation.comparison.charts import MOST_LABELS, forest, label_dots, most_moved
from tunesmith.evaluation.comparison.types import Comparison
from tunesmith.evaluation.comparison.words import shown_scores
from tunesmith.evaluation.page import render_page

__all__ = ["comparison_as_html"]

_CHARTED = 2


def comparison_as_html(comparison: Comparison, title: str) -> str:
    """The whole comparison as one page; every text in it is escaped."""
    scores = shown_scores(comparison)
    shown = most_moved(comparison)
    values = {
        "first": comparison.runs[0],
        "others": comparison.runs[1:],
        "scores": scores,
        "forests": [(by, forest(comparison, by)) for by in scores[:_CHARTED]],
        "dots": label_dots(comparison, shown) if shown else None,
        "shown_labels": shown,
        "many_labels": len(comparison.labels) > MOST_LABELS,
        "settings": tuple(comparison.runs[0].recipe),
    }
    return render_page("comparison.html.jinja", comparison, title, values)
