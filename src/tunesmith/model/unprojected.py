"""Attention of each text's last token to its tokens as they are: their keys and values are never made.

A query asks how like it is to the keys W x + b of all tokens x. So much is (Wᵀ query) · x + query · b: one
product with the query takes the place of one with each token. Likewise the shares of the values' sum are
taken of the tokens, and the sum is projected once. With one query a text the last block's keys and values
cost nothing; the numbers are the same but for the order in which they are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.model.scoring import Scoring

if TYPE_CHECKING:
    import torch

__all__ = ["affine", "mixed_unprojected"]

_MULTIPLE = 16


def affine(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """(width in, width out) and (width out,) -> (width in + 1, width out): to multiply states with a one."""
    import torch

    return weight if bias is None else torch.cat([weight, bias[None]])


def mixed_unprojected(
    states: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scoring: Scoring,
) -> torch.Tensor:
    """What the heads of each text's last token answer: (texts, heads × head width).

    `states` are (tokens, width), `query` is (texts, heads, head width); `key` and `value` are what `affine`
    makes of the layers that would project the states, (width or width + 1, heads × head width).
    """
    import torch

    # it defines a gradient of its own, for which torch has to be there when it is imported
    from tunesmith.model.attention import attend_from_last

    if len(key) > states.shape[1]:
        # a one, and zeros up to what kernels can compute
        more = _MULTIPLE - states.shape[1] % _MULTIPLE
        filling = states.new_zeros(len(states), more)
        filling[:, 0] = 1
        states = torch.cat([states, filling], 1)
        key, value = (torch.nn.functional.pad(part, (0, 0, 0, more - 1)) for part in (key, value))
    keys, values = (part.view(len(part), *query.shape[1:]) for part in (key, value))
    wanted = torch.einsum("thd,whd->thw", query, keys)
    mixed = attend_from_last(wanted, states, lengths, scoring)
    return torch.einsum("thw,whd->thd", mixed, values).flatten(1)
