"""Fit the head alone: what it reads is computed once, and then it is a convex problem with one answer.

Multinomial logistic regression with an L2 penalty that the validation split chooses. The features are
divided by their spread, which is put back into the head's weights; the head has no bias, and so nothing is
centred.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.features import features_of, joined
from tunesmith.training.memory import peak_memory_bytes
from tunesmith.training.objective import LabelObjective
from tunesmith.training.state import Fitted, LoopSettings, Progress

if TYPE_CHECKING:
    import torch

__all__ = ["fit_head"]

# of the penalty on the standardised weights; a later fit begins where the one before it ended
_STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_MOST_ITERATIONS = 500


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A head and its mean losses."""

    strength: float
    weight: torch.Tensor
    """(labels, width), of the features as they are"""
    train_loss: float
    validation_loss: float


def fit_head(
    model: Any,
    train: LabelObjective,
    held_out: LabelObjective,
    settings: LoopSettings,
    *,
    evaluate: Callable[[Any], Mapping[str, float]],
    checkpoints: Checkpoints,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Leave `model.score` with the head that does best on `held_out`; no other weight is touched.

    Features that were computed before a stop are used again with `resume`. Raises Interrupted.
    """
    started = time.monotonic()
    texts = joined(train.encoded, held_out.encoded)
    features = features_of(
        model,
        texts,
        settings,
        checkpoints=Checkpoints(checkpoints.directory / "features"),
        resume=resume,
        on_progress=on_progress,
        should_stop=should_stop,
    ).double()
    count = len(train.encoded)
    candidates = _candidates(features[:count], train, features[count:], held_out, model.score)
    best = min(candidates, key=lambda candidate: candidate.validation_loss)
    _put(best.weight, model.score)
    model.eval()
    history = [_row(step, candidate) for step, candidate in enumerate(candidates, 1)]
    seconds, tokens = time.monotonic() - started, len(texts.flat)
    step, total = candidates.index(best) + 1, len(candidates)
    figures = evaluate(model)
    history[step - 1] |= {name: value for name, value in figures.items() if name != "score"}
    on_progress(Progress(total, total, 1, best.train_loss, 0.0, tokens / max(1e-9, seconds), figures))
    return Fitted(total, step, seconds, tokens, history, False, peak_memory_bytes())


def _row(step: int, candidate: _Candidate) -> dict[str, float]:
    return {
        "step": step,
        "strength": candidate.strength,
        "train_loss": candidate.train_loss,
        "validation_loss": candidate.validation_loss,
    }


def _put(weight: torch.Tensor, score: Any) -> None:
    import torch

    with torch.no_grad():
        score.weight.copy_(weight)


def _candidates(
    features: torch.Tensor, train: LabelObjective, unseen: torch.Tensor, held_out: LabelObjective, score: Any
) -> list[_Candidate]:
    """A head for every strength of the penalty, the strongest first; features are (rows, width)."""
    spread = features.std(0, correction=0)
    spread = spread.where(spread > 0, 1.0)
    standardised, found = features / spread, []
    weight = features.new_zeros(score.weight.shape)  # (labels, width)
    for strength in _STRENGTHS:
        weight = _minimised(standardised, train, strength, weight)
        plain = weight / spread
        losses = _mean_loss(features @ plain.T, train), _mean_loss(unseen @ plain.T, held_out)
        found.append(_Candidate(strength, plain, float(losses[0]), float(losses[1])))
    return found


def _minimised(
    features: torch.Tensor, objective: LabelObjective, strength: float, start: torch.Tensor
) -> torch.Tensor:
    import torch

    weight = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight],
        max_iter=_MOST_ITERATIONS,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = _mean_loss(features @ weight.T, objective) + strength / 2 * weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach()


def _mean_loss(logits: torch.Tensor, objective: LabelObjective) -> torch.Tensor:
    rows = range(len(objective.encoded))
    return objective.loss_of(logits, rows) / objective.weight(rows)
