"""Report on preferences -> the same kind of page, with both answers side by side."""

from __future__ import annotations

from typing import Any

from tunesmith.evaluation.bars import rival_bars
from tunesmith.evaluation.curves import loss_curve, score_curve
from tunesmith.evaluation.generation.html import score_row
from tunesmith.evaluation.generation.named import shown_scores
from tunesmith.evaluation.page import render_page, strongest
from tunesmith.evaluation.preference.types import Preference
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import REWARD_ACCURACY, REWARD_MARGIN, paragraphs

__all__ = ["preference_as_html"]

# room for the longest name of a rival
_NAME_PIXELS = 132
_TEXT_CHARACTERS = 1_600


def preference_as_html(report: Report, preference: Preference, title: str) -> str:
    """The whole report as one page; every text in it is escaped."""
    curves = (loss_curve(report.curves), score_curve(report.curves, REWARD_ACCURACY))
    values: dict[str, Any] = {
        "preference": preference,
        "lead": REWARD_ACCURACY,
        "margin": REWARD_MARGIN,
        "strongest": strongest(report, REWARD_ACCURACY),
        "scores": [score_row(report, each) for each in shown_scores(report)],
        "curves": [curve for curve in curves if curve is not None],
        "bars": rival_bars(report, REWARD_ACCURACY, _NAME_PIXELS) if report.rivals else None,
        "cut": lambda text: paragraphs(text.strip(), _TEXT_CHARACTERS),
    }
    return render_page("preference.html.jinja", report, title, values)
