"""Report: test rows, the model's probabilities and its rivals -> one object that holds all the proof."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import Protocol

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.errors import DataError, Problem
from tunesmith.evaluation.intervals import (
    RESAMPLES,
    Resampled,
    difference,
    intervals,
    label_intervals,
    resample,
)
from tunesmith.evaluation.mcnemar import mcnemar
from tunesmith.evaluation.metrics import Counts, calibration, confusion, count, label_scores, measure
from tunesmith.evaluation.rival import Rival
from tunesmith.evaluation.types import (
    Cost,
    Difference,
    Floats,
    Ints,
    LabelScore,
    McNemar,
    Mistake,
    Report,
    RivalScore,
)
from tunesmith.evaluation.verdict import judge
from tunesmith.evaluation.wording import ACCURACY

__all__ = ["build_report", "finite", "how_intervals", "label_rows_of", "refuse_no_rows", "score_rival"]


def build_report(
    *,
    test: Dataset,
    probabilities: Floats,
    rivals: Sequence[Rival],
    curves: Sequence[Mapping[str, int | float | None]],
    cost: Cost,
    provenance: Mapping[str, str],
    seed: int,
    worst: int = 50,
) -> Report:
    """Measure the model's probabilities (rows, labels) and its rivals' on the checked `test`.

    A curve value that is not a finite number becomes None. Raises DataError where `test` has no row.
    """
    truth = _truth(test)
    metrics, resampled = measure(truth, probabilities), resample(truth, probabilities, seed=seed)
    counts = count(truth, probabilities.argmax(axis=1), len(test.task.labels))
    per_label = label_rows_of(test.task.labels, counts, resampled)
    right = probabilities.argmax(axis=1) == truth
    scored = tuple(
        score_rival(
            rival,
            *_judged(rival, truth, seed),
            metrics,
            resampled,
            mcnemar(right, rival.probabilities.argmax(axis=1) == truth),
        )
        for rival in rivals
    )
    table = confusion(truth, probabilities.argmax(axis=1), len(test.task.labels))
    return Report(
        labels=test.task.labels,
        rows=len(test),
        metrics=metrics,
        intervals=intervals(resampled, metrics),
        per_label=per_label,
        confusion=tuple(tuple(row) for row in table.tolist()),
        calibration=calibration(truth, probabilities),
        rivals=scored,
        mistakes=_mistakes(test, truth, probabilities, worst),
        verdict=judge(scored, per_label, len(test), ACCURACY),
        cost=cost,
        provenance=dict(provenance) | {"intervals": how_intervals(seed)},
        curves=tuple(finite(point) for point in curves),
    )


def _truth(test: Dataset) -> Ints:
    refuse_no_rows(test)
    truth = np.asarray(test.label_ids, dtype=np.int64)
    assert len(truth) == len(test), "the check lets no unlabelled row through"
    return truth


def refuse_no_rows(test: Sized) -> None:
    """Raise DataError where there is nothing to measure on."""
    if not len(test):
        fix = "give a test file with rows, or a larger `test_fraction`"
        raise DataError(Problem("no-test-rows", "there is no row to test on", "the test set", fix))


def how_intervals(seed: int) -> str:
    """How the intervals came about, in words."""
    return f"95 %, percentile bootstrap over the test rows, {RESAMPLES:,} resamples, seed {seed}"


def label_rows_of(
    labels: Sequence[str], counts: Counts, resampled: Resampled, thresholds: Sequence[float] = ()
) -> tuple[LabelScore, ...]:
    """How each label did, with the intervals of its scores."""
    columns = (column.tolist() for column in (counts.truth, counts.predicted, *label_scores(counts)))
    precision, recall, f1 = (label_intervals(resampled, name) for name in ("precision", "recall", "f1"))
    rows = zip(labels, *columns, f1, thresholds or (None,) * len(labels), precision, recall, strict=True)
    return tuple(LabelScore(*row) for row in rows)


def _judged(rival: Rival, truth: Ints, seed: int) -> tuple[dict[str, float], Resampled]:
    return measure(truth, rival.probabilities), resample(truth, rival.probabilities, seed=seed)


class _Method(Protocol):
    """What a report tells of a rival, whatever its answers are."""

    @property
    def name(self) -> str: ...
    @property
    def how(self) -> str: ...
    @property
    def train_seconds(self) -> float: ...
    @property
    def milliseconds_per_text(self) -> float: ...
    @property
    def size_bytes(self) -> int | None: ...


def score_rival(
    rival: _Method,
    metrics: dict[str, float],
    resampled: Resampled,
    model_metrics: dict[str, float],
    model: Resampled,
    paired: McNemar | None = None,
) -> RivalScore:
    """What a rival scored, and by how much the model's scores are higher; `paired` counts the rows."""
    differences: dict[str, Difference] = {
        metric: difference(metric, model_metrics[metric] - metrics[metric], model, resampled)
        for metric in model.scores
        if metric in resampled.scores
    }
    return RivalScore(
        name=rival.name,
        how=rival.how,
        metrics=metrics,
        intervals=intervals(resampled, metrics),
        differences=differences,
        train_seconds=rival.train_seconds,
        milliseconds_per_text=rival.milliseconds_per_text,
        size_bytes=rival.size_bytes,
        mcnemar=paired,
    )


def _mistakes(test: Dataset, truth: Ints, probabilities: Floats, worst: int) -> tuple[Mistake, ...]:
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    # stable: equally sure mistakes stay in the order of the file
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:worst].tolist()
    return tuple(
        Mistake(
            text=example.text,
            where=example.where,
            truth=test.task.labels[truth[row]],
            predicted=test.task.labels[predicted[row]],
            probability=float(confidence[row]),
        )
        for row, example in zip(surest, test.take(surest), strict=True)
    )


def finite(point: Mapping[str, int | float | None]) -> dict[str, int | float | None]:
    """The point with None for what is no finite number."""
    return {name: _or_none(value) for name, value in point.items()}


def _or_none(value: int | float | None) -> int | float | None:
    if value is None or isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None
