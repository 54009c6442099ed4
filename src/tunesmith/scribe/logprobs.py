"""How probable tokens are to the model itself: before temperature, penalties, bias and constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.model.encode import Ids
from tunesmith.model.reading import can_batch

if TYPE_CHECKING:
    import torch

__all__ = ["Told", "prompt_told", "told"]

# what follows so many tokens is held at once: a vocabulary's width for each
_READ_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Told:
    """The logarithm of a token's probability, in nats, and the likeliest tokens at its place with theirs."""

    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()


def told(logits: torch.Tensor, tokens: Sequence[int], counts: Sequence[int | None]) -> list[Told]:
    """Of the token at each row of `logits`, (rows, vocabulary); `counts` of the likeliest, None: nothing."""
    import torch

    found = [Told()] * len(tokens)
    rows = [row for row, count in enumerate(counts) if count is not None]
    if not rows:
        return found
    shares = logits[rows].float().log_softmax(-1)
    taken = shares.gather(1, torch.tensor([[tokens[row]] for row in rows], device=shares.device))[
        :, 0
    ].tolist()
    most = min(max(count or 0 for count in counts), shares.shape[1])
    values, ids = (part.tolist() for part in shares.topk(most, -1))
    for place, row in enumerate(rows):
        pairs = zip(ids[place][: counts[row]], values[place], strict=False)
        found[row] = Told(taken[place], tuple(pairs))
    return found


def prompt_told(model: Any, ids: Ids, count: int) -> list[Told]:
    """Of each token of a prompt; nothing stands before the first."""
    import torch

    following, found = ids[1:].tolist(), [Told()]
    with torch.inference_mode():
        for logits in _logits(model, ids):
            tokens = following[len(found) - 1 :][: len(logits)]
            found += told(logits[: len(tokens)], tokens, [count] * len(tokens))
    return found


def _logits(model: Any, ids: Ids) -> Iterator[torch.Tensor]:
    """(tokens, vocabulary) what follows each token, some of them at a time where the model can go on."""
    import torch

    cache: Any = None
    step = _READ_TOKENS if can_batch(model) else len(ids)
    for start in range(0, len(ids), step):
        read = torch.from_numpy(ids[start : start + step].astype(np.int64))[None].to(model.device)
        end = start + read.shape[1]
        seen = torch.ones((1, end), dtype=torch.int64, device=model.device)
        how = {"position_ids": torch.arange(start, end, device=model.device)[None]} if step < len(ids) else {}
        more = {"past_key_values": cache, "use_cache": True} if step < len(ids) else {"use_cache": False}
        answer = model(input_ids=read, attention_mask=seen, **how, **more)
        cache = answer.past_key_values if step < len(ids) else None
        yield answer.logits[0]
