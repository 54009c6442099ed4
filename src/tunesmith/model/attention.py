"""Causal attention of texts that lie one after the other: no padding, few scores that a mask hides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from tunesmith.model.attention_gpu import attend_on_gpu
from tunesmith.model.dropout import dropped
from tunesmith.model.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["attend", "attend_seen"]

# queries of one tile: a long text's tiles stop at the diagonal, which saves almost half of its scores
_TILE = 128


class _Tile(NamedTuple):
    queries: slice
    keys: slice
    sees_all: bool
    """Whether these are all keys of the text"""


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scoring: Scoring,
    queries: Sequence[int] | None = None,
) -> torch.Tensor:
    """Attention text by text: (query tokens, heads, head width) -> (query tokens, heads × head width).

    `key` and `value` are (tokens, key heads, head width). `queries` is how many of each text's last tokens
    `query` holds, at least one; None: all of them.
    """
    queries = lengths if queries is None else queries
    key, value = _for_every_head(query, key, value)
    if torch.is_autocast_enabled(query.device.type):
        low = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(low), key.to(low), value.to(low)
    if query.device.type == "cuda":
        return attend_on_gpu(query, key, value, lengths, scoring, queries).flatten(1)
    tiles = list(_tiles(lengths, queries))
    mixed: torch.Tensor = _Attention.apply(query, key, value, tiles, scoring)  # type: ignore[no-untyped-call]
    return mixed.flatten(1)


def attend_seen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    queries: Sequence[int],
    before: Sequence[torch.Tensor],
    scoring: Scoring,
) -> torch.Tensor:
    """As `attend` without dropout, but `before` says what is seen: (tokens, tokens) for each text.

    It holds how far back a token sees another, and is negative where it does not.
    """
    key, value = _for_every_head(query, key, value)
    mixed = []
    each = zip(
        torch.split(query, list(queries)),
        torch.split(key, list(lengths)),
        torch.split(value, list(lengths)),
        before,
        strict=True,
    )
    for q, k, v, back in each:
        back = back[-len(q) :]
        seen = (back >= 0) if scoring.window is None else (back >= 0) & (back < scoring.window)
        of_text = scaled_dot_product_attention(
            q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), attn_mask=seen, scale=scoring.scaling
        )
        mixed.append(of_text.transpose(0, 1))
    return torch.cat(mixed).flatten(1)


def _for_every_head(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values repeated where several heads of queries share them."""
    groups = query.shape[1] // key.shape[1]
    if groups == 1:
        return key, value
    return key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)


class _Attention(torch.autograd.Function):
    """Softmax attention with its own backward: it writes where the results belong, and keeps no masks."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        tiles: list[_Tile],
        scoring: Scoring,
    ) -> torch.Tensor:
        mixed = torch.empty_like(query, memory_format=torch.contiguous_format)
        ctx.scoring, ctx.tiles, kept = scoring, tiles, []
        for tile in tiles:
            of, keys, values = query[tile.queries], key[tile.keys], value[tile.keys]
            shares = _shares(of.transpose(0, 1), keys.permute(1, 2, 0), scoring)  # (heads, queries, keys)
            kept_shares = dropped(shares, scoring.dropout)
            torch.bmm(kept_shares, values.transpose(0, 1), out=mixed[tile.queries].transpose(0, 1))
            if any(ctx.needs_input_grad):
                kept += [shares] if kept_shares is shares else [shares, kept_shares]
        ctx.save_for_backward(query, key, value, mixed, *kept)
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = gradients
        query, key, value, mixed, *kept = ctx.saved_tensors
        of_query, of_key, of_value = (
            torch.empty_like(states, memory_format=torch.contiguous_format) for states in (query, key, value)
        )
        # the sum over keys of share × its gradient is the query's output × the output's gradient
        rows = (gradient * mixed).sum(-1).t()[..., None]  # (heads, queries, 1)
        each = len(kept) // len(ctx.tiles)
        # from the last tile of a text, which sees all its keys and so writes where the others add
        for index in reversed(range(len(ctx.tiles))):
            tile, shares, kept_shares = ctx.tiles[index], kept[each * index], kept[each * (index + 1) - 1]
            write = torch.bmm if tile.sees_all else _add_product
            of, out = query[tile.queries].transpose(0, 1), gradient[tile.queries].transpose(0, 1)
            write(kept_shares.transpose(1, 2), out, out=of_value[tile.keys].transpose(0, 1))
            scores = torch.bmm(out, value[tile.keys].permute(1, 2, 0))  # (heads, queries, keys)
            scores.mul_(kept_shares).addcmul_(shares, rows[:, tile.queries], value=-1)
            scores.mul_(ctx.scoring.scaling)
            torch.bmm(scores, key[tile.keys].transpose(0, 1), out=of_query[tile.queries].transpose(0, 1))
            write(scores.transpose(1, 2), of, out=of_key[tile.keys].transpose(0, 1))
        return of_query, of_key, of_value, None, None


def _add_product(first: torch.Tensor, second: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    return out.baddbmm_(first, second)


def _tiles(lengths: Sequence[int], queries: Sequence[int]) -> Iterator[_Tile]:
    """Queries and the keys that they may see, text after text."""
    query = key = 0
    for length, asked in zip(lengths, queries, strict=True):
        for begin in range(0, asked, _TILE):
            end = min(begin + _TILE, asked)
            sees = slice(key, key + length - asked + end)
            yield _Tile(slice(query + begin, query + end), sees, end == asked)
        query, key = query + asked, key + length


def _shares(query: torch.Tensor, key: torch.Tensor, scoring: Scoring) -> torch.Tensor:
    """(heads, queries, keys) softmax of the scores; `key` is (heads, head width, keys)."""
    queries, keys = query.shape[1], key.shape[2]
    if queries == 1 and scoring.window is None:
        scores = torch.bmm(query, key).mul_(scoring.scaling)
    else:
        mask = _mask(queries, keys, scoring.window, query.dtype, query.device)
        scores = torch.baddbmm(mask, query, key, alpha=scoring.scaling)
    if scores.dtype in (torch.float16, torch.bfloat16):
        return scores.softmax(-1, dtype=torch.float32).to(scores.dtype)
    return scores.softmax(-1)


def _mask(queries: int, keys: int, window: int | None, dtype: Any, device: Any) -> torch.Tensor:
    """(queries, keys) what is added to the scores: the last `queries` of `keys` tokens look back."""
    longest = 1 << (keys - 1).bit_length()
    whole = _whole_mask(longest, window, dtype, device)
    return whole[:queries, longest - (keys - queries) : longest + queries]


@lru_cache(maxsize=8)
def _whole_mask(longest: int, window: int | None, dtype: Any, device: Any) -> torch.Tensor:
    """(tile, longest + tile) of which every mask is a part: query i stands at key `longest` + i."""
    at = torch.arange(_TILE, device=device)[:, None]
    before = at - (torch.arange(longest + _TILE, device=device) - longest)
    hidden = before < 0 if window is None else (before < 0) | (before >= window)
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
