"""Report of a multi-label model: the same proof, over sets of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.intervals import Resampled, intervals
from tunesmith.evaluation.mcnemar import mcnemar
from tunesmith.evaluation.multilabel import calibrate_labels, count_labels, measure_labels, resample_labels
from tunesmith.evaluation.report import finite, how_intervals, label_rows_of, refuse_no_rows, score_rival
from tunesmith.evaluation.rival import Rival
from tunesmith.evaluation.types import Bools, Cost, Floats, Mistake, MixUp, Report
from tunesmith.evaluation.verdict import judge
from tunesmith.evaluation.wording import MICRO_F1
from tunesmith.model.thresholds import Thresholds

__all__ = ["build_multilabel_report"]

_MOST_MIX_UPS = 50


def build_multilabel_report(
    *,
    test: Dataset,
    probabilities: Floats,
    thresholds: Thresholds,
    rivals: Sequence[Rival],
    curves: Sequence[Mapping[str, int | float | None]],
    cost: Cost,
    provenance: Mapping[str, str],
    seed: int,
    worst: int = 50,
) -> Report:
    """As `build_report`: a label is given where its probability reaches its threshold."""
    refuse_no_rows(test)
    labels, truth, given = test.task.labels, test.label_matrix, thresholds.given(probabilities)
    metrics = measure_labels(truth, probabilities, given)
    resampled = resample_labels(truth, probabilities, given, seed=seed)
    per_label = label_rows_of(labels, count_labels(truth, given), resampled, thresholds.labels)
    right = (truth == given).all(axis=1)
    scored = tuple(
        score_rival(
            rival,
            *_judged(rival, truth, seed),
            metrics,
            resampled,
            mcnemar(right, (truth == rival.given).all(axis=1)),
        )
        for rival in rivals
    )
    return Report(
        labels=labels,
        rows=len(test),
        metrics=metrics,
        intervals=intervals(resampled, metrics),
        per_label=per_label,
        confusion=(),
        calibration=calibrate_labels(truth, probabilities),
        rivals=scored,
        mistakes=_mistakes(test, truth, probabilities, given, worst),
        verdict=judge(scored, per_label, len(test), MICRO_F1),
        cost=cost,
        provenance=dict(provenance) | {"intervals": how_intervals(seed)},
        curves=tuple(finite(point) for point in curves),
        kind="multi_label",
        mix_ups=_mix_ups(labels, truth, given),
    )


def _judged(rival: Rival, truth: Bools, seed: int) -> tuple[dict[str, float], Resampled]:
    assert rival.given is not None, "a multi-label rival says which labels it gives"
    answers = (truth, rival.probabilities, rival.given)
    return measure_labels(*answers), resample_labels(*answers, seed=seed)


def _mix_ups(labels: tuple[str, ...], truth: Bools, given: Bools) -> tuple[MixUp, ...]:
    """Which label was given where another was missed, the most frequent first."""
    from scipy.sparse import csr_array

    missed, added = (csr_array(each.astype(np.int64)) for each in (truth & ~given, given & ~truth))
    pairs = (missed.T @ added).tocoo()
    order = np.lexsort((pairs.col, pairs.row, -pairs.data))[:_MOST_MIX_UPS]
    rows = truth.sum(axis=0)
    return tuple(
        MixUp(labels[one], labels[other], int(pairs.data[at]), float(pairs.data[at] / rows[one]))
        for at, one, other in zip(order, pairs.row[order], pairs.col[order], strict=True)
    )


def _mistakes(
    test: Dataset, truth: Bools, probabilities: Floats, given: Bools, worst: int
) -> tuple[Mistake, ...]:
    """The rows with the wrong decision that the model was surest of."""
    against = np.where(given != truth, np.abs(probabilities - truth), -1.0).max(axis=1)
    wrong = np.flatnonzero(against >= 0)
    surest = wrong[np.argsort(-against[wrong], kind="stable")][:worst].tolist()
    names = np.asarray(test.task.labels, object)
    return tuple(
        Mistake(
            text=example.text,
            where=example.where,
            truth=_listed(names[truth[row]]),
            predicted=_listed(names[given[row]]),
            probability=float(against[row]),
            missed=tuple(names[truth[row] & ~given[row]]),
            added=tuple(names[given[row] & ~truth[row]]),
        )
        for row, example in zip(surest, test.take(surest), strict=True)
    )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) else "(no label)"
