"""Fit the head alone: what it reads is computed once, and then it is a convex problem with one answer.

Multinomial logistic regression with an L2 penalty that the validation split chooses, or, where there is
none, cross-validation on the training rows. The features are divided by their spread, which is put back into
the head's weights; the head has no bias, and so nothing is centred. They are then turned to their principal
axes, so that what a text's last state has in common with all others lies along one of them alone: a fit then
takes a fraction of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.features import features_of, joined
from tunesmith.training.memory import peak_memory_bytes
from tunesmith.training.newton import Penalised
from tunesmith.training.objective import LabelObjective
from tunesmith.training.state import Fitted, LoopSettings, Progress

if TYPE_CHECKING:
    import torch

__all__ = ["fit_head"]

# of the penalty on the standardised weights; a later fit begins where the one before it ended
_STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_FOLDS = 5


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
    held_out: LabelObjective | None,
    settings: LoopSettings,
    *,
    evaluate: Callable[[Any], Mapping[str, float]] | None,
    checkpoints: Checkpoints,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Leave `model.score` with the head that does best on `held_out`; no other weight is touched.

    Without `held_out`, with the penalty that does best on each fifth of `train` when fitted on the others.
    Features that were computed before a stop are used again with `resume`. Raises Interrupted.
    """
    started = time.monotonic()
    texts = joined(train.encoded, held_out.encoded) if held_out else train.encoded
    features = features_of(
        model,
        texts,
        settings,
        checkpoints=Checkpoints(checkpoints.directory / "features"),
        resume=resume,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    axes = _axes(features[: len(train.encoded)].double())
    # one copy is all that is held from here on
    features = features.double() @ axes
    candidates = _candidates(features, axes, train, held_out, len(model.score.weight), settings.seed)
    best = min(candidates, key=lambda candidate: candidate.validation_loss)
    _put(best.weight, model.score)
    model.eval()
    history = [_row(step, candidate) for step, candidate in enumerate(candidates, 1)]
    seconds, tokens = time.monotonic() - started, len(texts.flat)
    step, total = candidates.index(best) + 1, len(candidates)
    figures = evaluate(model) if evaluate else {}
    history[step - 1] |= {name: value for name, value in figures.items() if name != "score"}
    on_progress(Progress(total, total, 1, best.train_loss, 0.0, tokens / max(1e-9, seconds), figures or None))
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


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows to fit a head on, or to judge it by."""

    features: torch.Tensor
    """(rows, axes), of the rows of this part alone"""
    objective: LabelObjective
    rows: npt.NDArray[np.int64]
    labels: int

    def loss(self, weight: torch.Tensor) -> torch.Tensor:
        """The mean loss of a head, (labels, width)."""
        return self.mean_loss(self.features @ weight.T)

    def mean_loss(self, logits: torch.Tensor) -> torch.Tensor:
        """The mean loss of logits, (rows, labels)."""
        rows = self.rows.tolist()
        return self.objective.loss_of(logits, rows) / self.objective.weight(rows)


def _candidates(
    features: torch.Tensor,
    axes: torch.Tensor,
    train: LabelObjective,
    held_out: LabelObjective | None,
    labels: int,
    seed: int,
) -> list[_Candidate]:
    """A head for every strength of the penalty, the strongest first; features are (rows, axes)."""
    count = len(train.encoded)
    seen, unseen = features[:count], features[count:]
    whole = _Part(seen, train, np.arange(len(seen)), labels)
    heads = _heads(whole)
    if held_out:
        judge = _Part(unseen, held_out, np.arange(len(unseen)), labels)
        losses = [float(judge.loss(head)) for head in heads]
    else:
        losses = _cross_validated(whole, seed)
    return [
        _Candidate(strength, head @ axes.T, float(whole.loss(head)), loss)
        for strength, head, loss in zip(_STRENGTHS, heads, losses, strict=True)
    ]


def _axes(features: torch.Tensor) -> torch.Tensor:
    """What turns features, (rows, width), to the principal axes of what they are over their spread.

    (width, the less of both): across these axes a penalised head is 0.
    """
    import torch

    rows, width = features.shape
    spread = features.std(0, correction=0)
    spread = spread.where(spread > 0, 1.0)
    axes: torch.Tensor
    if rows < width:
        axes = torch.linalg.svd(features / spread, full_matrices=False).Vh.T
    else:
        axes = torch.linalg.eigh(features.T @ features / rows / spread.outer(spread)).eigenvectors
    return axes / spread[:, None]


def _cross_validated(whole: _Part, seed: int) -> list[float]:
    """The mean loss at each strength, of every row by a head that was fitted without the row's fold."""
    fold_of_row = np.random.default_rng(seed).permutation(len(whole.rows)) % _FOLDS
    sums = np.zeros(len(_STRENGTHS))
    for fold in np.unique(fold_of_row):
        fitted, unseen = _rows_of(whole, fold_of_row != fold), _rows_of(whole, fold_of_row == fold)
        weight = whole.objective.weight(unseen.rows.tolist())
        sums += weight * np.asarray([float(unseen.loss(head)) for head in _heads(fitted)])
    losses: list[float] = (sums / whole.objective.weight(whole.rows.tolist())).tolist()
    return losses


def _rows_of(whole: _Part, chosen: npt.NDArray[np.bool_]) -> _Part:
    """The rows where `chosen` is true."""
    import torch

    return replace(whole, features=whole.features[torch.from_numpy(chosen)], rows=whole.rows[chosen])


def _heads(part: _Part) -> list[torch.Tensor]:
    """The best head at each strength, (labels, width)."""
    found = [part.features.new_zeros(part.labels, part.features.shape[1])]
    for strength in _STRENGTHS:
        found.append(Penalised(part.features, part.mean_loss, strength).minimum(found[-1]))
    return found[1:]
