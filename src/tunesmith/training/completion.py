"""What a language model is trained on: rows of tokens of which some are learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded
from tunesmith.model.generator import Generator
from tunesmith.model.language import learned_loss, token_sums
from tunesmith.model.targets import EncodedTargets

if TYPE_CHECKING:
    import torch

__all__ = ["Completion", "LanguageModelling", "token_figures"]


class Completion:
    """Prompts and their completions, or chats: cross-entropy of the learned tokens alone."""

    def __init__(self, targets: EncodedTargets, pad_token_id: int) -> None:
        self.targets = targets
        self._counts = targets.counts  # (rows,)
        self._pad_token_id = pad_token_id

    @property
    def encoded(self) -> Encoded:
        """The token ids of the rows."""
        return self.targets.encoded

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each row."""
        return self.encoded.lengths

    def weight(self, rows: Sequence[int]) -> float:
        """How many tokens of `rows` are learned; 1 where none is, so that it can be divided by."""
        return float(max(1, self._counts[np.asarray(rows)].sum()))

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The cross-entropy of `rows` in nats, summed over learned tokens."""
        return learned_loss(model, self.targets, rows, self._pad_token_id)


class LanguageModelling:
    """Blocks of running text: cross-entropy of every next token."""

    def __init__(self, blocks: npt.NDArray[np.uint16 | np.int32]) -> None:
        self._blocks = blocks  # (blocks, window)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each block."""
        return np.full(len(self._blocks), self._blocks.shape[1], np.int64)

    def weight(self, rows: Sequence[int]) -> float:
        """How many tokens of `rows` are predicted: all but the first of each block."""
        return float(len(rows) * (self._blocks.shape[1] - 1))

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The cross-entropy of `rows` in nats, summed over tokens."""
        flat = self._blocks[np.asarray(rows)].astype(np.int32).reshape(-1)
        starts = np.arange(len(rows) + 1) * self._blocks.shape[1]
        learned = np.arange(len(flat)) % self._blocks.shape[1] > 0
        texts = EncodedTargets(Encoded(flat, starts, np.zeros(len(rows), np.bool_)), learned)
        return learned_loss(model, texts, range(len(rows)), pad_token_id=0)


def token_figures(generator: Generator, targets: EncodedTargets, micro_batch_tokens: int) -> dict[str, float]:
    """`token_accuracy`, `log_loss` and `perplexity` on the learned tokens: what training is judged by."""
    pad_token_id = generator.tokenizer.pad_token_id
    return token_sums(generator.model, targets, pad_token_id, micro_batch_tokens).figures()
