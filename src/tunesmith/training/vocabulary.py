"""Train the embeddings of the tokens that occur, and no others: exact, and cheap for a large vocabulary.

A token that no training text holds has no gradient, and AdamW with moments of zero moves it by weight decay
alone. So its row need not pass through gradient, clipping, moments and update at every step: it is shrunk
once at the end. Of 50,257 tokens a set may use 15,000; the rest of the optimizer's work and memory goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded

__all__ = ["CompactVocabulary", "compact_vocabulary"]

# below this share of rows to be saved the copying is not worth its code path
_WORTH_IT = 0.1


@dataclass(slots=True)
class CompactVocabulary:
    """The token ids that a model knows for a while, in order; None: all, and nothing is renamed."""

    kept: npt.NDArray[np.int64] | None
    decay: float = 1.0
    """What weight decay left of the other rows; to be told before the model is made whole again"""

    def renamed(self, encoded: Encoded) -> Encoded:
        """The same texts in the ids that the model knows now."""
        if self.kept is None:
            return encoded
        flat = np.searchsorted(self.kept, encoded.flat).astype(np.int32)
        assert np.array_equal(self.kept[flat], encoded.flat), "a token that was said not to occur"
        return replace(encoded, flat=flat)

    def id_of(self, token_id: int) -> int:
        """The id by which the model knows a token now."""
        return token_id if self.kept is None else int(np.searchsorted(self.kept, token_id))


@contextmanager
def compact_vocabulary(
    model: Any, texts: Sequence[Encoded], pad_token_id: int
) -> Iterator[CompactVocabulary]:
    """Leave `model` only the embeddings of the tokens in `texts`, and the pad token's, while this is open."""
    whole = model.get_input_embeddings()
    kept = np.unique(np.concatenate([*(encoded.flat for encoded in texts), [pad_token_id]])).astype(np.int64)
    if len(kept) > (1 - _WORTH_IT) * whole.num_embeddings or not whole.weight.requires_grad:
        yield CompactVocabulary(None)
        return
    vocabulary = CompactVocabulary(kept)
    model.set_input_embeddings(_rows_of(whole, kept))
    try:
        yield vocabulary
    finally:
        _put_back(whole, model.get_input_embeddings(), vocabulary)
        model.set_input_embeddings(whole)


def _rows_of(whole: Any, kept: npt.NDArray[np.int64]) -> Any:
    import torch

    chosen = torch.from_numpy(kept).to(whole.weight.device)
    rows = whole.weight.detach()[chosen]  # (kept, width)
    return torch.nn.Embedding(rows.shape[0], rows.shape[1], _weight=rows)


def _put_back(whole: Any, part: Any, vocabulary: CompactVocabulary) -> None:
    import torch

    with torch.no_grad():
        whole.weight.mul_(vocabulary.decay)
        whole.weight[torch.from_numpy(vocabulary.kept).to(whole.weight.device)] = part.weight
