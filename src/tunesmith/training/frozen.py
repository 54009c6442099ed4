"""Lower blocks that stay as they are: what they make of each text is computed once and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.files import storage_errors
from tunesmith.model.blocks import parts_of
from tunesmith.model.encode import Encoded, micro_batches
from tunesmith.model.packed import lower_states, upper_features
from tunesmith.training.features import preparing
from tunesmith.training.precision import autocast
from tunesmith.training.state import Interrupted, LoopSettings, Progress

if TYPE_CHECKING:
    import torch

__all__ = ["FrozenStates", "freeze", "frozen_states"]

States = npt.NDArray[np.float32]


def freeze(model: Any, blocks: int) -> None:
    """Let the embeddings and the first `blocks` blocks be as they are."""
    parts = parts_of(model.base_model)
    for part in (*parts.embeddings, *parts.blocks[:blocks]):
        part.requires_grad_(False)


class FrozenStates:
    """What the first `blocks` blocks make of every text, without dropout; text after text in any order."""

    def __init__(self, states: States, starts: npt.NDArray[np.int64], encoded: Encoded, blocks: int) -> None:
        self._states, self._starts = states, starts  # (tokens, width); (texts,)
        self._lengths, self._blocks = encoded.lengths, blocks

    def logits(self, model: Any, rows: Sequence[int], every_token: bool = False) -> torch.Tensor:
        """(rows, labels), or (tokens, labels), through the upper blocks alone."""
        import torch

        lengths = [int(self._lengths[row]) for row in rows]
        places = [slice(int(self._starts[row]), int(self._starts[row] + self._lengths[row])) for row in rows]
        states = torch.from_numpy(np.concatenate([self._states[place] for place in places]))
        features = upper_features(
            model, states.to(model.device), lengths, self._blocks, every_token=every_token
        )
        logits: torch.Tensor = model.score(features)
        return logits


@contextmanager
def frozen_states(
    model: Any,
    encoded: Encoded,
    blocks: int,
    settings: LoopSettings,
    *,
    most_bytes: int,
    spill: Path,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[FrozenStates]:
    """Compute the states of all texts; over `most_bytes`, they lie in the file `spill` while the block runs.

    Always computed in the same groups, so that a run that was stopped and resumed reads the same numbers.
    Raises Interrupted, and StorageError where the disk is full.
    """
    groups = micro_batches(encoded.lengths, settings.micro_batch_tokens, packed=settings.packed)
    pieces = _pieces(model, encoded, blocks, settings, groups, on_progress, should_stop)
    shape = len(encoded.flat), int(model.get_input_embeddings().weight.shape[1])
    try:
        fits = 4 * shape[0] * shape[1] <= most_bytes
        states = _in_memory(pieces, shape) if fits else _on_disk(pieces, shape, spill)
        yield FrozenStates(states, _starts(encoded, groups), encoded, blocks)
    finally:
        spill.unlink(missing_ok=True)


def _starts(encoded: Encoded, groups: list[list[int]]) -> npt.NDArray[np.int64]:
    """Where each text's states begin, when the groups lie one after the other."""
    order = np.concatenate(groups)
    starts = np.zeros(len(encoded), np.int64)
    starts[order[1:]] = np.cumsum(encoded.lengths[order])[:-1]
    return starts


def _pieces(
    model: Any,
    encoded: Encoded,
    blocks: int,
    settings: LoopSettings,
    groups: list[list[int]],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Iterator[States]:
    """The states of each group, (tokens, width)."""
    import torch

    model.eval()
    started, tokens = time.monotonic(), 0
    for step, group in enumerate(groups, 1):
        with torch.no_grad(), autocast(model.device, settings.precision):
            states = lower_states(model, [encoded[row] for row in group], blocks)
        yield states.float().cpu().numpy()
        tokens += len(states)
        on_progress(preparing(step, len(groups), tokens, started))
        if should_stop():
            raise Interrupted(step, len(groups))


def _in_memory(pieces: Iterator[States], shape: tuple[int, int]) -> States:
    states, end = np.empty(shape, np.float32), 0
    for piece in pieces:
        states[end : end + len(piece)] = piece
        end += len(piece)
    return states


def _on_disk(pieces: Iterator[States], shape: tuple[int, int], path: Path) -> States:
    # written, not mapped: a full disk then is an error that can be told, and no signal
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for piece in pieces:
                stream.write(piece.tobytes())
        return np.memmap(path, np.float32, "r", shape=shape)
