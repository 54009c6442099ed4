"""What models that learned from ever more rows answered -> a curve, and what twice the rows would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunesmith.evaluation.comparison.judged import Judged, judged
from tunesmith.evaluation.intervals import difference, intervals
from tunesmith.evaluation.power_law import FEWEST_POINTS, power_law_gain
from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.types import CurvePoint, Difference, Floats, LearningCurve
from tunesmith.evaluation.verdict import outcome
from tunesmith.evaluation.wording import MACRO_F1

__all__ = ["Learned", "build_learning_curve"]

_QUANTILES = (0.025, 0.975)
_LITTLE = 0.01
"""A gain that is surely smaller is none that would be worth labelling as many rows again"""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a model and TF-IDF + LR answered after learning from `rows` rows."""

    rows: int
    model: Predictions
    rival: Predictions
    train_seconds: float


def build_learning_curve(
    learned: Sequence[Learned], measured_on: Literal["validation", "test"], seed: int
) -> LearningCurve:
    """The curve through what was learned, from the fewest rows to the most; all answer the same rows."""
    assert learned, "there is something to draw"
    models = [judged(each.model, seed) for each in learned]
    rivals = [judged(each.rival, seed) for each in learned]
    points = tuple(_point(*each) for each in zip(learned, models, rivals, strict=True))
    rows = [each.rows for each in learned]
    gain, rival_gain = (_gain(rows, each, seed) for each in (models, rivals))
    judged_rows, says = len(learned[0].model), _says(rows[-1], gain, _is_flat(models))
    return LearningCurve(measured_on, judged_rows, points, gain, rival_gain, says)


def _point(learned: Learned, model: Judged, rival: Judged) -> CurvePoint:
    key = MACRO_F1.key
    model_span, rival_span = (intervals(each.resampled, each.metrics)[key] for each in (model, rival))
    return CurvePoint(
        learned.rows, model.metrics[key], model_span, learned.train_seconds, rival.metrics[key], rival_span
    )


def _gain(rows: Sequence[int], found: Sequence[Judged], seed: int) -> Difference | None:
    """What twice the rows would add, with its interval over the judged rows, drawn alike for all sizes."""
    if len(rows) < FEWEST_POINTS:
        return None
    key, sizes = MACRO_F1.key, np.asarray(rows, np.float64)
    scores = np.column_stack([each.resampled.scores[key] for each in found])
    drawn = power_law_gain(sizes, scores, weights=_without_one(scores.shape, seed))
    value = float(power_law_gain(sizes, np.asarray([[each.metrics[key] for each in found]]))[0])
    low, high = np.quantile(drawn, _QUANTILES).tolist()
    return Difference(value, min(low, value), max(high, value))


def _without_one(shape: tuple[int, ...], seed: int) -> Floats:
    """(draws, points) 1, and 0 for one point of each draw: chance is in training, too. Of few points none."""
    draws, points = shape
    weights = np.ones(shape)
    if points > FEWEST_POINTS:
        weights[np.arange(draws), np.random.default_rng(seed).integers(points, size=draws)] = 0.0
    return weights


def _is_flat(found: Sequence[Judged]) -> bool:
    """Whether the last point may lie above the first by chance."""
    key, first, last = MACRO_F1.key, found[0], found[-1]
    rise = difference(key, last.metrics[key] - first.metrics[key], last.resampled, first.resampled)
    return outcome(rise) == "not distinguishable"


def _says(rows: int, gain: Difference | None, flat: bool) -> str:
    if gain is None:
        return "There are too few sizes to say what more training rows would bring."
    twice, told = f"wice the training rows ({2 * rows:,})", f"{MACRO_F1.signed(gain.value)}"
    told = f"{told} ({MACRO_F1.span(gain, sign=True)}) macro-F1"
    if max(abs(gain.low), abs(gain.high)) < _LITTLE:
        return f"The curve has flattened: t{twice} would bring about {told}."
    match outcome(gain):
        case "beats":
            return f"T{twice} would bring about {told}."
        case "worse":
            return f"More rows of this kind would not help: t{twice} would bring about {told}."
        case _:
            shape = "The curve is flat within noise" if flat else "The curve rises, but not evenly"
            return (
                f"{shape}, so that it cannot tell whether more rows would help:"
                f" t{twice} would bring about {told}."
            )
