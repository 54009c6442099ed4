"""Evaluate: measure a model on unseen rows, against cheap rivals, and show the proof."""

from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rivals import Rival, run_rivals
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, Report

__all__ = [
    "Cost",
    "Report",
    "Rival",
    "as_html",
    "as_model_card",
    "as_terminal",
    "build_report",
    "measure",
    "run_rivals",
]
