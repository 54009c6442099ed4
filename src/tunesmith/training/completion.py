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

__all__ = ["Completion", "LanguageModelling", "block_count", "token_figures"]


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
    """Running texts cut into blocks of a window: cross-entropy of every next token."""

    def __init__(
        self,
        texts: Sequence[npt.NDArray[np.uint16 | np.int32]],
        window: int,
        blocks: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """`texts` are (tokens,) each, `blocks` (rows,) which blocks of all texts are the rows; None: each."""
        self._texts, self._window = texts, window
        self._first = np.cumsum([0, *(block_count(len(text), window) for text in texts)])
        self._blocks = np.arange(self._first[-1]) if blocks is None else blocks

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each block; the last of a text may be shorter."""
        text, start = self._places(self._blocks)
        sizes = np.array([len(each) for each in self._texts])
        lengths: npt.NDArray[np.int64] = np.minimum(self._window + 1, sizes[text] - start)
        return lengths

    def weight(self, rows: Sequence[int]) -> float:
        """How many tokens of `rows` are predicted: all but the first of each block."""
        return float(sum(len(ids) - 1 for ids in self._ids(rows)))

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The cross-entropy of `rows` in nats, summed over tokens."""
        ids = self._ids(rows)
        lengths = [len(each) for each in ids]
        learned = np.concatenate([np.arange(length) > 0 for length in lengths])
        starts = np.cumsum([0, *lengths])
        encoded = Encoded(np.concatenate(ids).astype(np.int32), starts, np.zeros(len(ids), np.int32))
        return learned_loss(model, EncodedTargets(encoded, learned), range(len(ids)), pad_token_id=0)

    def _places(self, blocks: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each block, which text it is of, and where it begins there."""
        text = np.searchsorted(self._first, blocks, side="right") - 1
        return text, (blocks - self._first[text]) * self._window

    def _ids(self, rows: Sequence[int]) -> list[npt.NDArray[np.uint16 | np.int32]]:
        text, start = self._places(self._blocks[np.asarray(rows)])
        places = zip(text.tolist(), start.tolist(), strict=True)
        return [self._texts[which][at : at + self._window + 1] for which, at in places]


def block_count(tokens: int, window: int) -> int:
    """How many blocks there are of a text: the last token of each is the first of the next."""
    return max(0, -(-(tokens - 1) // window))


def token_figures(generator: Generator, targets: EncodedTargets, micro_batch_tokens: int) -> dict[str, float]:
    """`token_accuracy`, `log_loss` and `perplexity` on the learned tokens: what training is judged by."""
    pad_token_id = generator.tokenizer.pad_token_id
    return token_sums(generator.model, targets, pad_token_id, micro_batch_tokens).figures()
