"""Report of a model that learned from preferences: how often it agrees about pairs it has never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.evaluation.examples import chosen_rows
from tunesmith.evaluation.intervals import Resampled, intervals, resample_means
from tunesmith.evaluation.mcnemar import mcnemar
from tunesmith.evaluation.preference.pairs import Pairs
from tunesmith.evaluation.preference.types import Preference, PreferenceExample
from tunesmith.evaluation.report import finite, how_intervals, refuse_no_rows, score_rival
from tunesmith.evaluation.types import Cost, Report, RivalScore
from tunesmith.evaluation.verdict import judge
from tunesmith.evaluation.wording import LIKELIHOOD_ACCURACY, REWARD_ACCURACY
from tunesmith.model.forward import Floats
from tunesmith.model.language import TokenSums
from tunesmith.training.preference import margins_of, pair_scores, wins

__all__ = ["PreferenceRival", "build_preference_report", "row_scores", "run_preference_rivals"]

_UNTUNED, _UNTUNED_PER_TOKEN = "untuned base", "untuned, per token"
_LONGER, _SHORTER = "longer answer", "shorter answer"


@dataclass(frozen=True, slots=True)
class PreferenceRival:
    """What another method makes of each pair: name -> (rows,), of which `reward_accuracy` says who wins."""

    name: str
    how: str
    scores: Mapping[str, Floats]
    train_seconds: float
    milliseconds_per_text: float
    size_bytes: int | None = None


def row_scores(found: Floats, reference: Floats, beta: float) -> dict[str, Floats]:
    """What each pair scores, name -> (rows,); `found` and `reference` are (2 × rows,) log-likelihoods."""
    scores = pair_scores(margins_of(found, reference, beta))
    return scores | {"likelihood_accuracy": wins(_apart(found))}


def _apart(values: Floats) -> Floats:
    """(rows,) what the preferred answer has more than the rejected."""
    pairs = values.reshape(-1, 2)
    return np.asarray(pairs[:, 0] - pairs[:, 1])


def run_preference_rivals(base: TokenSums, milliseconds_per_text: float) -> tuple[PreferenceRival, ...]:
    """Rivals that learn nothing: what the base thinks likelier, and which answer is longer or shorter.

    `base` is of the answers, two a row.
    """
    likelihoods, tokens = -base.log_loss, base.tokens.astype(np.float64)
    found = (
        (
            _UNTUNED,
            "prefers the answer that the base, as it was before training, thinks likelier",
            likelihoods,
        ),
        (
            _UNTUNED_PER_TOKEN,
            "does so by the mean over the tokens of an answer",
            likelihoods / tokens.clip(1),
        ),
        (_LONGER, "prefers the answer with more tokens", tokens),
        (_SHORTER, "prefers the answer with fewer tokens", -tokens),
    )
    return tuple(
        PreferenceRival(
            name, how, _won(by), 0.0, 0.0 if name in (_LONGER, _SHORTER) else milliseconds_per_text
        )
        for name, how, by in found
    )


def _won(values: Floats) -> dict[str, Floats]:
    won = wins(_apart(values))
    # without a base to be measured against, who wins is the same by either
    return {"reward_accuracy": won, "likelihood_accuracy": won}


def build_preference_report(
    *,
    test: Pairs,
    scores: Mapping[str, Floats],
    tokens: Floats,
    beta: float,
    rivals: Sequence[PreferenceRival],
    curves: Sequence[Mapping[str, int | float | None]],
    cost: Cost,
    provenance: Mapping[str, str],
    seed: int,
    examples: int = 4,
) -> Report:
    """Measure what `row_scores` gave for the pairs of `test`, beside rivals on the same rows.

    `tokens` (2 × rows,) are of the answers; `examples` are shown of the best, the worst and random ones.
    Raises DataError where `test` has no row.
    """
    refuse_no_rows(test)
    metrics, resampled = _means(scores), resample_means(scores, seed=seed)
    scored = tuple(_judged(rival, scores, metrics, resampled, seed) for rival in rivals)
    strongest = sorted(scored, key=lambda rival: -rival.metrics[REWARD_ACCURACY.key])
    preferred, rejected = tokens.reshape(-1, 2).mean(axis=0).tolist()
    return Report(
        labels=(),
        rows=len(test),
        metrics=metrics,
        intervals=intervals(resampled, metrics),
        per_label=(),
        confusion=(),
        calibration=None,
        rivals=scored,
        mistakes=(),
        verdict=judge(strongest, (), len(test), LIKELIHOOD_ACCURACY, REWARD_ACCURACY),
        cost=cost,
        provenance=dict(provenance) | {"beta": f"{beta:g}", "intervals": how_intervals(seed)},
        curves=tuple(finite(point) for point in curves),
        kind="preference",
        preference=Preference(
            beta=beta,
            preferred_tokens=preferred,
            rejected_tokens=rejected,
            examples=_examples(test, scores["reward_margin"], examples, seed),
        ),
    )


def _means(scores: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in scores.items()}


def _judged(
    rival: PreferenceRival,
    model: Mapping[str, Floats],
    model_metrics: dict[str, float],
    model_resampled: Resampled,
    seed: int,
) -> RivalScore:
    resampled = resample_means(rival.scores, seed=seed)
    won = (scores["reward_accuracy"] == 1 for scores in (model, rival.scores))
    return score_rival(rival, _means(rival.scores), resampled, model_metrics, model_resampled, mcnemar(*won))


def _examples(test: Pairs, margins: Floats, each: int, seed: int) -> tuple[PreferenceExample, ...]:
    """`each` of random, the worst and the best ones, fewer of few rows; no row twice."""
    order = np.argsort(margins, kind="stable").tolist()
    return tuple(
        PreferenceExample(
            test.prompts[row],
            test.preferred[row],
            test.rejected[row],
            test.where[row],
            float(margins[row]),
            chosen,
        )
        for row, chosen in chosen_rows(order, order[::-1], each=each, seed=seed).items()
    )
