"""Evaluate: measure a model on unseen rows, against cheap rivals, and show the proof."""

from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.generation.questions import Questions, questions_of
from tunesmith.evaluation.generation.report import build_generation_report
from tunesmith.evaluation.generation.rivals import Untuned, WritingRival, run_generation_rivals
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rival import Rival
from tunesmith.evaluation.rivals import run_rivals
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, Report

__all__ = [
    "Cost",
    "Questions",
    "Report",
    "Rival",
    "Untuned",
    "WritingRival",
    "as_html",
    "as_model_card",
    "as_terminal",
    "build_generation_report",
    "build_report",
    "measure",
    "questions_of",
    "run_generation_rivals",
    "run_rivals",
]
