"""What follows a text -> one token of it, by chance or the likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["draw"]

# so many of the likeliest tokens are looked at first: to sort a whole vocabulary takes ten times as long
_FIRST = 256
# far more than sums of probabilities differ by the order in which they are added
_MARGIN = 1e-9


def draw(
    logits: torch.Tensor,
    temperatures: Sequence[float],
    top_ps: Sequence[float],
    randoms: Sequence[np.random.Generator],
) -> list[int]:
    """The next token of each row of `logits`, (rows, vocabulary).

    Where its temperature is 0 it is the likeliest; else one random number is taken for it, and only then.
    """
    import torch

    tokens = logits.argmax(-1)
    rows = [row for row, temperature in enumerate(temperatures) if temperature]
    if rows:
        drawn = torch.tensor([[randoms[row].random()] for row in rows], dtype=torch.float64)
        asked = torch.tensor([[temperatures[row], top_ps[row]] for row in rows], dtype=torch.float64)
        asked, drawn = asked.to(logits.device), drawn.to(logits.device)
        tokens[rows] = _drawn(logits[rows], asked[:, :1], asked[:, 1:], drawn)
    found: list[int] = tokens.tolist()
    return found


def _drawn(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, drawn: torch.Tensor
) -> torch.Tensor:
    """(rows,) tokens, for each row's temperature, top_p and random number, all (rows, 1)."""
    # shifted first: a low temperature must not make them infinite
    logits = logits.double() - logits.amax(-1, keepdim=True).double()
    shares = (logits / temperature).softmax(-1)
    # a GPU sorts quickly, and adds in another order
    if shares.device.type != "cpu" or shares.shape[1] <= 4 * _FIRST:
        return _of_all(shares, top_p, drawn)
    tokens, is_sure = _of_first(shares, top_p, drawn)
    if not is_sure.all():
        tokens[~is_sure] = _of_all(shares[~is_sure], top_p[~is_sure], drawn[~is_sure])
    return tokens


def _of_all(shares: torch.Tensor, top_p: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """(rows,) the token up to which the likeliest have the drawn part of what `top_p` leaves."""
    import torch

    shares, tokens = shares.sort(dim=-1, descending=True, stable=True)
    below = shares.cumsum(-1)
    shares = shares.where(below - shares < top_p, 0.0)
    reached = shares.cumsum(-1)
    places = torch.searchsorted(reached, drawn * reached[:, -1:], right=True)
    last = (shares > 0).sum(-1, keepdim=True) - 1
    return tokens.gather(1, places.minimum(last))[:, 0]


def _of_first(
    shares: torch.Tensor, top_p: torch.Tensor, drawn: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `_of_all`, (rows,), and whether it is certain that it is the same token, (rows,)."""
    import torch

    first, tokens = shares.topk(_FIRST)
    below = first.cumsum(-1)
    kept = first.where(below - first < top_p, 0.0)
    reached = kept.cumsum(-1)
    is_whole = kept[:, -1:] == 0
    whole = reached[:, -1:].where(is_whole, 1.0)
    target = drawn * whole
    places = torch.searchsorted(reached, target, right=True).clamp(max=_FIRST - 2)
    end, share = reached.gather(1, places), kept.gather(1, places)
    is_sure = is_whole | (top_p == 1)
    is_sure &= (target < end - _MARGIN) & (target > end - share + _MARGIN)
    # of tokens that are equally likely, topk gives any first
    falls = (first[:, :-1] > first[:, 1:]).cumprod(-1).gather(1, places) == 1
    return tokens.gather(1, places)[:, 0], (is_sure & falls)[:, 0]
