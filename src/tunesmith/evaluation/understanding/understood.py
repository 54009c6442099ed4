"""A judged model -> the part of its report that says when to trust it, and where it is weak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.types import Bools, Floats, Mistake
from tunesmith.evaluation.understanding.answers import Answers, answers_of
from tunesmith.evaluation.understanding.explained import explain_mistakes
from tunesmith.evaluation.understanding.groups import group_mistakes
from tunesmith.evaluation.understanding.robustness import MOST_ROWS, probe_robustness
from tunesmith.evaluation.understanding.selection import select
from tunesmith.evaluation.understanding.slices import cuts_of, slice_tables
from tunesmith.evaluation.understanding.types import Explained, Robustness, Understanding
from tunesmith.model.selection import Goal
from tunesmith.predict import Predictor

__all__ = ["Asked", "understood"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report should say beyond what every one does.

    `columns` (name -> a value for each test row) are sliced by; `explain` and `robustness` cost up to
    `seconds` each; `goals` were fitted on the validation rows when the model was made.
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    explain: bool = False
    robustness: bool = False
    seconds: float = 60.0
    goals: tuple[Goal, ...] = ()


def understood(
    predictor: Predictor,
    test: Dataset,
    probabilities: Floats,
    truncated: Bools,
    mistakes: Sequence[Mistake],
    asked: Asked,
    seed: int,
) -> Understanding:
    """What there is to understand of the answers `probabilities` (rows, labels) to the test rows.

    `truncated` (rows,) says which texts were cut; `mistakes` are the worst first.
    """
    several = test.task.kind == "multi_label"
    truth = test.label_matrix if several else test.label_ids
    thresholds = predictor.thresholds if several else None
    answers = answers_of(test.task.labels, truth, probabilities, thresholds)
    return Understanding(
        select(answers.confidence, answers.right, () if several else predictor.goals or asked.goals),
        slice_tables(answers, cuts_of(test, truncated, asked.columns), seed),
        group_mistakes(test, answers),
        _explained(predictor, mistakes, asked) if asked.explain else (),
        _robustness(predictor, test, answers, asked, seed) if asked.robustness else None,
    )


def _explained(predictor: Predictor, mistakes: Sequence[Mistake], asked: Asked) -> tuple[Explained, ...]:
    return explain_mistakes(
        lambda text, label: predictor.explain([text], label)[0],
        mistakes,
        predictor.labels,
        seconds=asked.seconds,
    )


def _robustness(predictor: Predictor, test: Dataset, answers: Answers, asked: Asked, seed: int) -> Robustness:
    rows = np.arange(len(test))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    truth = answers.truth[rows]
    return probe_robustness(
        lambda texts: predictor.probabilities(predictor.encode(texts)),
        test.take(rows).texts,
        truth.toarray().astype(np.bool_) if answers.several else truth.indices,
        answers.probabilities[rows],
        predictor.thresholds if answers.several else None,
        seed=seed,
        seconds=asked.seconds,
    )
