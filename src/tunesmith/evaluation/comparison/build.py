"""What several runs answered on the same rows -> one Comparison that says which differences are sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.evaluation.comparison.judged import Judged, judged
from tunesmith.evaluation.comparison.rows import aligned
from tunesmith.evaluation.comparison.types import ApartRow, ComparedLabel, ComparedRun, Comparison, RunCost
from tunesmith.evaluation.comparison.words import sentence
from tunesmith.evaluation.intervals import difference, intervals, label_differences, label_intervals
from tunesmith.evaluation.mcnemar import holm, mcnemar
from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.report import how_intervals
from tunesmith.evaluation.types import Ints
from tunesmith.evaluation.wording import (
    ACCURACY,
    LIKELIHOOD_ACCURACY,
    MACRO_F1,
    MICRO_F1,
    REWARD_ACCURACY,
    REWARD_MARGIN,
    ROUGE_L,
    WORD_F1,
    Score,
    clip,
)

__all__ = ["Contender", "build_comparison", "deciding"]

_MOST_EXAMPLES = 10
_NAME_WIDTH = 40


@dataclass(frozen=True, slots=True)
class Contender:
    """A run as it comes to be compared: what it answered, what it cost, and its recipe."""

    name: str
    path: str
    predictions: Predictions
    cost: RunCost
    recipe: Mapping[str, Any]


def build_comparison(contenders: Sequence[Contender], *, shared: bool = False, seed: int = 0) -> Comparison:
    """Compare every run with the first; raises DataError as `aligned` does."""
    assert len(contenders) > 1, "there is something to compare"
    rows, left_out = aligned(
        [each.predictions for each in contenders], [each.name for each in contenders], shared=shared
    )
    first, recipes = judged(rows[0], seed), _differing([each.recipe for each in contenders])
    runs = []
    for at, contender in enumerate(contenders):
        found = judged(rows[at], seed) if at else first
        run = _run(contender, rows[at], found, recipes[at], left_out[at])
        runs.append(_beside(run, rows[0], rows[at], first, found) if at else run)
    lead, beside = deciding(rows[0])
    runs = _together(runs)
    told = tuple(sentence(run, runs[0], lead, several=len(runs) > 2) for run in runs[1:])
    how = how_intervals(seed)
    return Comparison(
        rows[0].kind, rows[0].labels, len(rows[0]), lead.key, beside.key, tuple(runs), told, how
    )


def deciding(found: Predictions) -> tuple[Score, Score]:
    """The score that decides, and the one beside it."""
    if found.kind == "preference":
        return REWARD_ACCURACY, LIKELIHOOD_ACCURACY
    if found.scores:
        return ROUGE_L, WORD_F1
    return MACRO_F1, MICRO_F1 if found.kind == "multi_label" else ACCURACY


def _run(
    contender: Contender, rows: Predictions, found: Judged, recipe: dict[str, str], left_out: int
) -> ComparedRun:
    counts = [] if found.counts is None else found.counts.truth.tolist()
    labels = zip(rows.labels, counts, found.label_f1.tolist(), label_intervals(found.resampled), strict=True)
    return ComparedRun(
        name=clip(contender.name, _NAME_WIDTH),
        path=contender.path,
        metrics=found.metrics,
        intervals=intervals(found.resampled, found.metrics),
        per_label=tuple(ComparedLabel(*label) for label in labels),
        cost=contender.cost,
        recipe=recipe,
        left_out=left_out,
        differences={},
    )


def _beside(
    run: ComparedRun, first_rows: Predictions, rows: Predictions, first: Judged, found: Judged
) -> ComparedRun:
    """The run with what compares it with the first."""
    by_metric = {
        name: difference(name, run.metrics[name] - first.metrics[name], found.resampled, first.resampled)
        for name in first.resampled.scores
        if name in found.resampled.scores
    }
    per_label = run.per_label
    if per_label:
        apart = label_differences(found.label_f1 - first.label_f1, found.resampled, first.resampled)
        per_label = tuple(replace(label, difference=one) for label, one in zip(per_label, apart, strict=True))
    return replace(
        run,
        differences=by_metric,
        per_label=per_label,
        mcnemar=mcnemar(rows.right, first_rows.right),
        apart=int(_apart(first_rows, rows).sum()),
        examples=_examples(first_rows, rows),
    )


def _apart(first: Predictions, other: Predictions) -> Any:
    """(rows,) where the two answer differently; of written answers where their scores differ."""
    if first.scores:
        both = [first.scores[name] != other.scores[name] for name in first.scores if name in other.scores]
        return np.any(both, axis=0)
    differs = np.asarray(first.answers != other.answers)
    return differs if differs.ndim == 1 else differs.any(axis=1)


def _examples(first: Predictions, other: Predictions) -> tuple[ApartRow, ...]:
    rows = np.flatnonzero(first.right != other.right)[:_MOST_EXAMPLES]
    return tuple(
        ApartRow(first.where(row), _truth(first, row), _answer(first, row), _answer(other, row))
        for row in rows.tolist()
    )


def _truth(found: Predictions, row: int) -> str:
    return "" if found.scores else _named(found, found.truth[row])


def _answer(found: Predictions, row: int) -> str:
    if found.kind == "preference":
        return f"margin {REWARD_MARGIN.show(float(found.scores['reward_margin'][row]))}"
    if found.scores:
        return f"ROUGE-L {ROUGE_L.show(float(found.scores['rouge_l'][row]))}"
    return _named(found, found.answers[row])


def _named(found: Predictions, ids: Any) -> str:
    if found.kind != "multi_label":
        return found.labels[int(ids)]
    marked: Ints = np.flatnonzero(ids)
    return ", ".join(found.labels[at] for at in marked.tolist()) or "(no label)"


def _together(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """The runs with p-values that hold for all of them together."""
    raised = holm([run.mcnemar.p for run in runs if run.mcnemar])
    return [runs[0], *(replace(run, p=p) for run, p in zip(runs[1:], raised, strict=True))]


def _differing(recipes: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each recipe the settings that are not the same in all."""
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    apart = [key for key in keys if any(each.get(key) != recipes[0].get(key) for each in recipes[1:])]
    return [{key: _said(recipe.get(key)) for key in apart} for recipe in recipes]


def _said(value: Any) -> str:
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
