"""Causal attention of texts that lie one after the other; few scores are computed that a mask hides."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from tunesmith.kernels.attention import Heads, attend_natively, can_attend
from tunesmith.model.attention_gpu import attend_on_gpu
from tunesmith.model.dropout import Keep, dropped
from tunesmith.model.scoring import Scoring
from tunesmith.model.tiles import TILE, Layout, Tile, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["attend", "attend_from_last", "attend_fused", "attend_seen"]


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
    if can_attend(query, query.shape[2]):
        heads = _native(query.shape[1], key.shape[1], query.shape[2], scoring)
        return attend_natively([part.flatten(1) for part in (query, key, value)], lengths, queries, heads)
    key, value = _for_every_head(query, key, value)
    if torch.is_autocast_enabled(query.device.type):
        low = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(low), key.to(low), value.to(low)
    if query.device.type == "cuda":
        return attend_on_gpu(query, key, value, lengths, scoring, queries).flatten(1)
    layout = layout_of(tuple(lengths), tuple(queries), query.shape[1], query.device)
    mixed: torch.Tensor = _Attention.apply(query, key, value, layout, scoring)  # type: ignore[no-untyped-call]
    return mixed.flatten(1)


def attend_fused(fused: torch.Tensor, heads: int, lengths: Sequence[int], scoring: Scoring) -> torch.Tensor:
    """As `attend` for all tokens, of queries, keys and values side by side: (tokens, 3 × width)."""
    width = fused.shape[1] // 3
    if can_attend(fused, width // heads):
        return attend_natively([fused], lengths, lengths, _native(heads, heads, width // heads, scoring))
    query, key, value = (part.view(len(part), heads, -1) for part in fused.chunk(3, dim=1))
    return attend(query, key, value, lengths, scoring)


def _native(heads: int, keys: int, width: int, scoring: Scoring) -> Heads:
    return Heads(heads, keys, width, scoring.scaling, scoring.window, _kept(scoring))


def _kept(scoring: Scoring) -> int:
    return Keep(scoring.dropout).level if scoring.dropout else 0


def attend_from_last(
    query: torch.Tensor, states: torch.Tensor, lengths: Sequence[int], scoring: Scoring
) -> torch.Tensor:
    """Each text's last token attends to its tokens, whose states are keys and values of all heads.

    `query` is (texts, heads, width) and `states` (tokens, width): -> (texts, heads, width), on a CPU.
    """
    if torch.is_autocast_enabled("cpu"):
        low = torch.get_autocast_dtype("cpu")
        query, states = query.to(low), states.to(low)
    texts, heads, width = query.shape
    if can_attend(query, width):
        asking = Heads(1, 1, width, scoring.scaling, scoring.window, _kept(scoring), from_last=True)
        asked = [query.reshape(texts * heads, width), states, states]
        return attend_natively(asked, lengths, [heads] * texts, asking).view(texts, heads, width)
    layout = layout_of(tuple(lengths), (heads,) * texts, 1, query.device, from_last=True)
    flat, seen = query.reshape(texts * heads, 1, width), states[:, None]
    mixed: torch.Tensor = _Attention.apply(flat, seen, seen, layout, scoring)  # type: ignore[no-untyped-call]
    return mixed.view(texts, heads, width)


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
        layout: Layout,
        scoring: Scoring,
    ) -> torch.Tensor:
        kept = []
        queries = _rows_of(query, layout.query_rows)
        keys, values = (_rows_of(states, layout.key_rows) for states in (key, value))
        mixed = torch.empty_like(queries)
        for tile in layout.tiles:
            of, seen = tile.query_part(queries), tile.key_part(keys)
            shares = _shares(of, seen.transpose(1, 2), tile, scoring)
            kept_shares = dropped(shares, scoring.dropout)
            _write(kept_shares, tile.key_part(values), out=tile.query_part(mixed))
            if any(ctx.needs_input_grad):
                kept += [shares] if kept_shares is shares else [shares, kept_shares]
        ctx.layout, ctx.scoring = layout, scoring
        ctx.save_for_backward(queries, keys, values, mixed, *kept)
        return mixed.index_select(0, layout.query_places).view(query.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        layout = ctx.layout
        gradient = _rows_of(gradients[0], layout.query_rows).index_fill_(0, layout.fillers, 0)
        queries, keys, values, mixed, *kept = ctx.saved_tensors
        of_queries, of_keys, of_values = (torch.empty_like(rows) for rows in (queries, keys, values))
        # the sum over keys of share × its gradient is the query's output × the output's gradient
        sums = (gradient * mixed).sum(-1, keepdim=True)  # (query rows, 1)
        each = len(kept) // len(layout.tiles)
        # from the last tile of a text, which sees all its keys and so writes where the others add
        for index in reversed(range(len(layout.tiles))):
            tile, shares, kept_shares = layout.tiles[index], kept[each * index], kept[each * (index + 1) - 1]
            write = _write if tile.sees_all else _add
            out = tile.query_part(gradient)
            write(kept_shares.transpose(1, 2), out, out=tile.key_part(of_values))
            scores = torch.bmm(out, tile.key_part(values).transpose(1, 2))
            scores.mul_(kept_shares).addcmul_(shares, tile.query_part(sums), value=-1)
            scores.mul_(ctx.scoring.scaling)
            _write(scores, tile.key_part(keys), out=tile.query_part(of_queries))
            of = tile.query_part(queries)
            write(scores.transpose(1, 2), of, out=tile.key_part(of_keys))
        places = (layout.query_places, layout.key_places, layout.key_places)
        return (
            *(
                rows.index_select(0, at).view(-1, *gradients[0].shape[1:])
                for rows, at in zip((of_queries, of_keys, of_values), places, strict=True)
            ),
            None,
            None,
        )


def _rows_of(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(tokens, heads, head width) -> (rows, head width); a row is named by token × heads + head."""
    return states.reshape(-1, states.shape[-1]).index_select(0, rows)


def _write(first: torch.Tensor, second: torch.Tensor, *, out: torch.Tensor) -> None:
    # into rows that lie apart torch multiplies matrix by matrix
    if out.is_contiguous():
        torch.bmm(first, second, out=out)
    else:
        out.copy_(torch.bmm(first, second))


def _add(first: torch.Tensor, second: torch.Tensor, *, out: torch.Tensor) -> None:
    out.add_(torch.bmm(first, second))


def _shares(query: torch.Tensor, key: torch.Tensor, tile: Tile, scoring: Scoring) -> torch.Tensor:
    """(texts × heads, queries, keys) softmax of the scores; `key` is (texts × heads, head width, keys)."""
    queries, keys = query.shape[1], key.shape[2]
    if tile.positions is not None:
        mask = _mask_at(tile.positions, keys, scoring.window, query)
    elif queries == 1 and scoring.window is None:
        mask = query.new_zeros(())
    else:
        mask = _mask(queries, keys, scoring.window, query.dtype, query.device)
    scores = torch.baddbmm(mask, query, key, alpha=scoring.scaling)
    if scores.dtype in (torch.float16, torch.bfloat16):
        return scores.softmax(-1, dtype=torch.float32).to(scores.dtype)
    return scores.softmax(-1)


def _mask_at(positions: torch.Tensor, keys: int, window: int | None, query: torch.Tensor) -> torch.Tensor:
    """(texts × heads, queries, keys) what is added to the scores of queries that stand at `positions`."""
    before = positions[..., None] - torch.arange(keys, device=positions.device)
    heads = query.shape[0] // len(positions)
    return _hiding(before, window, query.dtype).repeat_interleave(heads, 0)


def _mask(queries: int, keys: int, window: int | None, dtype: Any, device: Any) -> torch.Tensor:
    """(queries, keys) what is added to the scores: the last `queries` of `keys` tokens look back."""
    longest = 1 << (keys - 1).bit_length()
    whole = _whole_mask(longest, window, dtype, device)
    return whole[:queries, longest - (keys - queries) : longest + queries]


@lru_cache(maxsize=8)
def _whole_mask(longest: int, window: int | None, dtype: Any, device: Any) -> torch.Tensor:
    """(tile, longest + tile) of which every mask is a part: query i stands at key `longest` + i."""
    at = torch.arange(TILE, device=device)[:, None]
    return _hiding(at - (torch.arange(longest + TILE, device=device) - longest), window, dtype)


def _hiding(before: torch.Tensor, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """Zero for keys that stand so far `before` a query, where it sees them, and -inf elsewhere."""
    hidden = before < 0 if window is None else (before < 0) | (before >= window)
    return torch.zeros_like(hidden, dtype=dtype).masked_fill_(hidden, -torch.inf)
