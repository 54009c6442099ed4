"""A judged model -> the part of its report that says when to trust it, and where it is weak."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.types import Bools, Floats, Mistake
from tunesmith.evaluation.understanding.answers import Answers, answers_of
from tunesmith.evaluation.understanding.explained import MOST_EXPLAINED, explain_mistakes
from tunesmith.evaluation.understanding.groups import group_mistakes
from tunesmith.evaluation.understanding.robustness import MOST_ROWS, probe_robustness
from tunesmith.evaluation.understanding.selection import select
from tunesmith.evaluation.understanding.slices import cuts_of, slice_tables
from tunesmith.evaluation.understanding.types import Explained, Robustness, Understanding
from tunesmith.model.explanation import Explanation
from tunesmith.model.selection import Goal
from tunesmith.predict import Predictor, in_chunks

__all__ = ["Asked", "OnAnswer", "understood"]

OnAnswer = Callable[[str, int, int], None]
_ANSWERED_AT_ONCE = 64


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
    on_answer: OnAnswer = lambda _who, _done, _total: None,
) -> Understanding:
    """What there is to understand of the answers `probabilities` (rows, labels) to the test rows.

    `truncated` (rows,) says which texts were cut; `mistakes` are the worst first. `on_answer` hears who
    answers rows once more, how many of them are answered, and of how many.
    """
    several = test.task.kind == "multi_label"
    truth = test.label_matrix if several else test.label_ids
    thresholds = predictor.thresholds if several else None
    answers = answers_of(test.task.labels, truth, probabilities, thresholds)
    return Understanding(
        select(answers.confidence, answers.right, () if several else predictor.goals or asked.goals),
        slice_tables(answers, cuts_of(test, truncated, asked.columns), seed),
        group_mistakes(test, answers),
        _explained(predictor, mistakes, asked, on_answer) if asked.explain else (),
        _robustness(predictor, test, answers, asked, seed, on_answer) if asked.robustness else None,
    )


def _explained(
    predictor: Predictor, mistakes: Sequence[Mistake], asked: Asked, on_answer: OnAnswer
) -> tuple[Explained, ...]:
    worst = mistakes[:MOST_EXPLAINED]
    done = count(1)

    def explain(text: str, label: str) -> Explanation:
        (found,) = predictor.explain([text], label)
        on_answer("this model (explained)", next(done), len(worst))
        return found

    return explain_mistakes(explain, worst, predictor.labels, seconds=asked.seconds)


def _robustness(
    predictor: Predictor, test: Dataset, answers: Answers, asked: Asked, seed: int, on_answer: OnAnswer
) -> Robustness:
    rows = np.arange(len(test))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    truth = answers.truth[rows]

    def answer(name: str, texts: Sequence[str]) -> Floats:
        found: list[Floats] = []
        for chunk in in_chunks(texts, _ANSWERED_AT_ONCE):
            found.append(predictor.probabilities(predictor.encode(chunk)))
            on_answer(f"this model ({name})", sum(map(len, found)), len(texts))
        return np.concatenate(found)

    return probe_robustness(
        answer,
        test.take(rows).texts,
        truth.toarray().astype(np.bool_) if answers.several else truth.indices,
        answers.probabilities[rows],
        predictor.thresholds if answers.several else None,
        seed=seed,
        seconds=asked.seconds,
    )
