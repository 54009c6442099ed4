"""What people call the scores of written answers and of preferences, in the order in which they are shown."""

from __future__ import annotations

from tunesmith.evaluation.generation.types import Writing
from tunesmith.evaluation.preference.types import Preference
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import (
    ACCURACY,
    CHRF,
    LIKELIHOOD_ACCURACY,
    MACRO_F1,
    PREFERENCE_LOSS,
    REWARD_ACCURACY,
    REWARD_MARGIN,
    ROUGE_L,
    WORD_F1,
    Score,
)

__all__ = ["MEANINGS", "beside_of", "compared_scores", "lead_of", "named", "shown_scores", "writing_of"]

MEANINGS = {
    MACRO_F1: "the mean F1 over the different answers that the references give",
    ACCURACY: "the share of answers that are one of these, and the right one",
    ROUGE_L: "words in common in the same order, as F1",
    WORD_F1: "words in common in any order, as F1",
    CHRF: "runs of one to six characters in common, over the whole test; fits every language",
    Score("bleu", "BLEU", 1, 100): "runs of one to four words in common, over the whole test",
    Score("exact_match", "exact match"): "the share of answers that equal the reference",
    Score("exact_match_folded", "exact match, any case"): "the same, upper and lower case aside",
    Score("token_accuracy", "token accuracy"): "how often the reference's next token was the likeliest",
    Score("perplexity", "perplexity", 2, 0): "how many tokens it wavers between; 1 is best",
    Score("log_loss", "log-loss", 3, 0): "the logarithm of the perplexity; 0 is best",
    REWARD_ACCURACY: "how often the preferred answer gained more against the base than the rejected",
    LIKELIHOOD_ACCURACY: "how often the preferred answer is the likelier one",
    REWARD_MARGIN: "how much more it gained, in the mean, times beta",
    PREFERENCE_LOSS: "what training lowers; 0.693 is that of the base",
}
"""Score -> what it says."""


def writing_of(report: Report) -> Writing:
    """What a report of written answers holds besides."""
    assert report.writing is not None, "this is no report of written answers"
    return report.writing


def _deciding(report: Report) -> Writing | Preference:
    return report.preference if report.preference is not None else writing_of(report)


def shown_scores(report: Report) -> tuple[Score, ...]:
    """The scores that the report has, the two that decide first."""
    first = (lead_of(report), beside_of(report))
    return (*first, *(each for each in MEANINGS if each.key in report.metrics and each not in first))


def compared_scores(report: Report) -> tuple[Score, ...]:
    """Those that the model and all rivals have an interval for."""
    measured = (report.intervals, *(rival.intervals for rival in report.rivals))
    return tuple(each for each in shown_scores(report) if all(each.key in found for found in measured))


def lead_of(report: Report) -> Score:
    """The score that decides the verdict."""
    return named(_deciding(report).lead)


def beside_of(report: Report) -> Score:
    """The score that is told beside it."""
    return named(_deciding(report).beside)


def named(key: str) -> Score:
    """The score of a metric."""
    return next(each for each in MEANINGS if each.key == key)
