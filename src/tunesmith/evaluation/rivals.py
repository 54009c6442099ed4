"""Rivals: the cheap methods a fine-tuned model must beat, trained and timed on the same split."""

from __future__ import annotations

import time

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.ngrams import linear_ngrams
from tunesmith.evaluation.rival import MAJORITY, NGRAMS, TFIDF, Clock, Rival, majority
from tunesmith.evaluation.tfidf import tfidf_logistic_regression
from tunesmith.evaluation.types import NotRun
from tunesmith.evaluation.untuned import UntunedBase, or_why_not, untuned_rivals

__all__ = ["MAJORITY", "TFIDF", "Rival", "run_rivals"]


def run_rivals(
    train: Dataset,
    test: Dataset,
    seed: int,
    *,
    base: UntunedBase | None = None,
    budget: Budget | None = None,
    clock: Clock = time.perf_counter,
) -> tuple[Rival | NotRun, ...]:
    """Train every rival on `train` and let it answer `test`, which must share their task.

    The majority and TF-IDF always run, the others where they fit into `budget`; those of the untuned base,
    where there is one, come last.
    """
    assert train.task.labels == test.task.labels, "train and test must have one label list"
    budget = budget or Budget(clock=clock)
    found = (
        majority(train, test, budget.clock),
        tfidf_logistic_regression(train, test, seed, budget.clock),
        or_why_not(NGRAMS, lambda: linear_ngrams(train, test, seed, budget)),
    )
    return (*found, *(untuned_rivals(base, train, test, seed, budget) if base else ()))
