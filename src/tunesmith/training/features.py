"""What a head reads of every text, computed once; after a stop, what was computed is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.model.encode import Encoded, micro_batches
from tunesmith.model.forward import batch_features
from tunesmith.training.checkpoint import SAVE_SECONDS, Checkpoint, Checkpoints
from tunesmith.training.precision import autocast
from tunesmith.training.state import Interrupted, LoopSettings, Progress

if TYPE_CHECKING:
    import torch

__all__ = ["features_of", "joined", "preparing"]


def joined(first: Encoded, second: Encoded) -> Encoded:
    """The texts of both, one after the other."""
    return Encoded(
        np.concatenate([first.flat, second.flat]),
        np.concatenate([first.starts, second.starts[1:] + first.starts[-1]]),
        np.concatenate([first.cut, second.cut]),
    )


def preparing(step: int, total_steps: int, tokens: int, started: float) -> Progress:
    """How far what comes before the first epoch is; nothing is learned yet, and so there is no loss."""
    return Progress(step, total_steps, 0, 0.0, 0.0, tokens / max(1e-9, time.monotonic() - started))


def features_of(
    model: Any,
    texts: Encoded,
    settings: LoopSettings,
    *,
    checkpoints: Checkpoints,
    resume: bool,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> torch.Tensor:
    """(texts, width) on the CPU, without dropout; raises Interrupted once `should_stop` answers True."""
    groups = micro_batches(texts.lengths, settings.micro_batch_tokens, packed=settings.packed)
    done, features = _begun(checkpoints) if resume else (0, None)
    started = saved_at = time.monotonic()
    tokens = 0
    for step, group in enumerate(groups[done:], done + 1):
        answer = _of_group(model, texts, group, settings)
        features = answer.new_zeros((len(texts), answer.shape[1])) if features is None else features
        features[group] = answer
        tokens += int(texts.lengths[group].sum())
        on_progress(preparing(step, len(groups), tokens, started))
        stop = should_stop()
        if stop or time.monotonic() - saved_at > SAVE_SECONDS:
            checkpoints.save(Checkpoint(step, {"features": features}, {}, {}))
            saved_at = time.monotonic()
        if stop:
            raise Interrupted(step, len(groups))
    assert features is not None, "a split without texts is refused"
    return features


def _begun(checkpoints: Checkpoints) -> tuple[int, torch.Tensor | None]:
    checkpoint = checkpoints.newest()
    return (checkpoint.step, checkpoint.model["features"]) if checkpoint else (0, None)


def _of_group(model: Any, texts: Encoded, group: list[int], settings: LoopSettings) -> torch.Tensor:
    import torch

    model.eval()
    with torch.no_grad(), autocast(model.device, settings.precision):
        rows = [texts[row] for row in group]
        return batch_features(model, rows, model.config.pad_token_id).float().cpu()
