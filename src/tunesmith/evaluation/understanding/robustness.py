"""Whether answers hold where the same texts are typed otherwise: changed texts against unchanged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import numpy as np

from tunesmith.evaluation.intervals import Resampled, difference, resample
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.multilabel import measure_labels, resample_labels
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.evaluation.understanding.perturbations import PERTURBATIONS, Perturbation
from tunesmith.evaluation.understanding.types import Perturbed, Robustness, Span
from tunesmith.model.thresholds import Thresholds

__all__ = ["MOST_ROWS", "probe_robustness"]

MOST_ROWS = 500
"""So many rows are drawn from more."""

Answer = Callable[[str, Sequence[str]], Floats]
"""The name of a change, and the changed texts -> their probabilities, (texts, labels)."""


def probe_robustness(
    answer: Answer,
    texts: Sequence[str],
    truth: Ints | Bools,
    probabilities: Floats,
    thresholds: Thresholds | None,
    *,
    seed: int,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> Robustness:
    """Answer the texts, of which these are truth and probabilities, changed in each way; see `answers_of`.

    No further way is tried once `seconds` are over.
    """
    judged = _Judged(truth, probabilities, thresholds, seed)
    started, tests, left_out = clock(), [], []
    for perturbation in perturbations:
        if clock() - started > seconds:
            left_out.append(perturbation.name)
            continue
        changed = [
            perturbation.change(text, random.Random(f"{seed} {row}"))  # noqa: S311 (no secret hangs on it)
            for row, text in enumerate(texts)
        ]
        tests.append(judged.against(perturbation, answer(perturbation.name, changed), _share(changed, texts)))
    return Robustness(
        len(texts),
        judged.metrics[judged.accuracy],
        judged.metrics["macro_f1"],
        tuple(tests),
        tuple(left_out),
    )


def _share(changed: Sequence[str], texts: Sequence[str]) -> float:
    return sum(one != other for one, other in zip(changed, texts, strict=True)) / len(texts)


class _Judged:
    """The unchanged texts' answers, with which those of changed texts are compared row by row."""

    def __init__(
        self, truth: Ints | Bools, probabilities: Floats, thresholds: Thresholds | None, seed: int
    ) -> None:
        self._truth, self._thresholds, self._seed = truth, thresholds, seed
        self.accuracy = "subset_accuracy" if thresholds else "accuracy"
        self._given = self._answers(probabilities)
        self.metrics, self._resampled = self._measured(probabilities)

    def _answers(self, probabilities: Floats) -> Ints | Bools:
        return self._thresholds.given(probabilities) if self._thresholds else probabilities.argmax(axis=1)

    def _measured(self, probabilities: Floats) -> tuple[dict[str, float], Resampled]:
        if self._thresholds is None:
            ids = np.asarray(self._truth, np.int64)
            return measure(ids, probabilities), resample(ids, probabilities, seed=self._seed)
        answers = (np.asarray(self._truth, np.bool_), probabilities, self._thresholds.given(probabilities))
        return measure_labels(*answers), resample_labels(*answers, seed=self._seed)

    def against(self, perturbation: Perturbation, probabilities: Floats, changed: float) -> Perturbed:
        metrics, resampled = self._measured(probabilities)
        otherwise = self._answers(probabilities) != self._given
        spans = {}
        for name in (self.accuracy, "macro_f1"):
            found = difference(name, metrics[name] - self.metrics[name], resampled, self._resampled)
            spans[name] = Span(found.value, found.low, found.high)
        return Perturbed(
            perturbation.name,
            perturbation.how,
            changed,
            float(otherwise.reshape(len(otherwise), -1).any(axis=1).mean()),
            metrics[self.accuracy],
            metrics["macro_f1"],
            spans[self.accuracy],
            spans["macro_f1"],
        )
