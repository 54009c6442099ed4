"""Causal attention of packed texts on a GPU: one kernel for all texts, whatever their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.model.scoring import Scoring

if TYPE_CHECKING:
    import torch

__all__ = ["attend_on_gpu", "attend_padded"]


def attend_on_gpu(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scoring: Scoring,
    queries: Sequence[int],
) -> torch.Tensor:
    """(query tokens, heads, head width), as `query`; variable-length FlashAttention where it can be had.

    That kernel takes half precision only and has no dropout; else texts are padded, but in here alone.
    `queries` is how many of each text's last tokens `query` holds.
    """
    import torch

    if query.dtype in (torch.float16, torch.bfloat16) and not scoring.dropout:
        return _attend_varlen(query, key, value, lengths, scoring, queries)
    return attend_padded(query, key, value, lengths, scoring, queries)


def _attend_varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scoring: Scoring,
    queries: Sequence[int],
) -> torch.Tensor:
    import torch
    from torch.nn.attention.varlen import varlen_attn

    def bounds(each: Sequence[int]) -> torch.Tensor:
        ends = torch.tensor([0, *each], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        return ends.to(query.device, non_blocking=True)

    back = -1 if scoring.window is None else scoring.window - 1
    mixed = varlen_attn(
        query,
        key,
        value,
        bounds(queries),
        bounds(lengths),
        max(queries),
        max(lengths),
        scale=scoring.scaling,
        window_size=(back, 0),
    )
    assert isinstance(mixed, torch.Tensor), "no more than the answer was asked for"
    return mixed


def attend_padded(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scoring: Scoring,
    queries: Sequence[int],
) -> torch.Tensor:
    """As `attend_on_gpu`, by torch's attention on texts padded on the right.

    Padding stands after a text's last token, where causality hides it; only the last few queries need a mask.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    mask = _seen(queries, lengths, scoring.window, query.device)
    padded_queries, keys, values = (
        torch.nn.utils.rnn.pad_sequence(list(torch.split(states, list(each))), batch_first=True).transpose(
            1, 2
        )
        for states, each in ((query, queries), (key, lengths), (value, lengths))
    )  # each (texts, heads, longest, head width)
    mixed = scaled_dot_product_attention(
        padded_queries,
        keys,
        values,
        attn_mask=mask,
        dropout_p=scoring.dropout,
        is_causal=mask is None,
        scale=scoring.scaling,
    ).transpose(1, 2)
    real = torch.arange(max(queries)) < torch.tensor(queries)[:, None]  # (texts, longest)
    return mixed[real.to(mixed.device)]


def _seen(
    queries: Sequence[int], lengths: Sequence[int], window: int | None, device: torch.device
) -> torch.Tensor | None:
    """(texts, 1, longest query, longest) what each query may see; None where causality says it all."""
    import torch

    if list(queries) == list(lengths) and window is None:
        return None
    last = torch.tensor(lengths)[:, None] - torch.tensor(queries)[:, None]
    # a query of padding must see something too: what it sees goes nowhere, but nothing would give NaN
    at = (last + torch.arange(max(queries))).clamp(max=max(lengths) - 1)[..., None]  # (texts, queries, 1)
    before = at - torch.arange(max(lengths))
    seen = (before >= 0) if window is None else (before >= 0) & (before < window)
    return seen[:, None].to(device)
