"""Train the embeddings of the tokens that occur, and no others: exact, and cheap for a large vocabulary.

A token that no training text holds has no gradient, and AdamW with moments of zero moves it by weight decay
alone. So its row need not pass through gradient, clipping, moments and update at every step: it is shrunk
once at the end. Of 50,257 tokens a set may use 15,000; the rest of the optimizer's work and memory goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded

__all__ = ["Others", "compact_vocabulary"]

# below this share of rows to be saved it is not worth the copying
_WORTH_IT = 0.1


@dataclass(slots=True)
class Others:
    """The embeddings that are left out."""

    decay: float = 1.0
    """What weight decay left of them; to be told before they are put back"""


@contextmanager
def compact_vocabulary(model: Any, texts: Sequence[Encoded], pad_token_id: int) -> Iterator[Others]:
    """Leave `model` only the embeddings of the tokens in `texts`, and the pad token's, while this is open.

    Token ids keep their meaning; a token that is not in `texts` is an IndexError.
    """
    whole, others = model.get_input_embeddings(), Others()
    kept = _tokens_in(texts, whole.num_embeddings, pad_token_id)
    if not _is_plain(model) or len(kept) > (1 - _WORTH_IT) * whole.num_embeddings:
        yield others
        return
    part = _rows_of(whole, kept)
    model.set_input_embeddings(part)
    try:
        yield others
    finally:
        _put_back(whole, part, kept, others.decay)
        model.set_input_embeddings(whole)


def _tokens_in(texts: Sequence[Encoded], vocabulary: int, pad_token_id: int) -> npt.NDArray[np.int64]:
    """The tokens that occur, ascending."""
    occurs = np.zeros(vocabulary, np.bool_)
    occurs[pad_token_id] = True
    for encoded in texts:
        for piece in encoded.pieces():
            occurs[piece] = True
    return np.flatnonzero(occurs)


def _is_plain(model: Any) -> bool:
    """Whether the embeddings are a table that trains and no more.

    Some architectures scale what they look up; and a head that has the same weights trains all of them.
    """
    import torch

    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    shared = head is not None and head.weight is embeddings.weight
    return type(embeddings) is torch.nn.Embedding and embeddings.weight.requires_grad and not shared


def _rows_of(whole: Any, kept: npt.NDArray[np.int64]) -> Any:
    import torch

    place = torch.full((whole.num_embeddings,), len(kept))  # past the end: no token may go there
    place[torch.from_numpy(kept)] = torch.arange(len(kept))
    rows = whole.weight.detach()[torch.from_numpy(kept).to(whole.weight.device)]  # (kept, width)
    # the row that torch gives no gradient, where it occurs
    fixed = None if whole.padding_idx is None else int(place[whole.padding_idx])
    fixed = None if fixed == len(kept) else fixed
    part = torch.nn.Embedding(rows.shape[0], rows.shape[1], padding_idx=fixed, _weight=rows)
    part.register_buffer("place", place.to(rows.device), persistent=False)
    part.register_forward_pre_hook(lambda module, ids: (module.place[ids[0]],))
    return part


def _put_back(whole: Any, part: Any, kept: npt.NDArray[np.int64], decay: float) -> None:
    import torch

    with torch.no_grad():
        whole.weight.mul_(decay)
        whole.weight[torch.from_numpy(kept).to(whole.weight.device)] = part.weight
