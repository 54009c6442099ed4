"""Causal attention of packed texts in one call, and its gradient in another: no score is kept between."""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int64, c_uint64, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.function import once_differentiable

from tunesmith.kernels.library import address, kernels_for, lanes, present_kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Heads", "attend_natively", "can_attend"]


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads ask, how many have keys, and how they score."""

    count: int
    keys: int
    width: int
    scaling: float
    window: int | None
    kept: int
    """Of 65,536 shares; 0: nothing is dropped"""
    from_last: bool = False
    """All queries of a text stand at its last token"""


class _States(ctypes.Structure):
    _fields_ = (("at", c_void_p), ("token", c_int64))


_PARTS = ("query", "key", "value", "out", "of_query", "of_key", "of_value", "of_out")


class _Attention(ctypes.Structure):
    """attention.c's struct of this name."""

    held: tuple[npt.NDArray[np.int64], ...]
    _fields_ = (
        *((name, _States) for name in _PARTS),
        *((name, c_void_p) for name in ("logsums", "starts", "asks")),
        ("from_last", c_int64),
        *((name, c_int64) for name in ("texts", "heads", "key_heads", "width", "window", "level", "threads")),
        *(("seed", c_uint64), ("scaling", c_double)),
    )


def can_attend(states: torch.Tensor, head_width: int) -> bool:
    """Whether there are kernels for heads of this width."""
    return head_width % lanes(states) == 0 and kernels_for(states) is not None


def attend_natively(
    states: Sequence[torch.Tensor], lengths: Sequence[int], queries: Sequence[int], heads: Heads
) -> torch.Tensor:
    """What the last `queries` tokens of each text see: (query tokens, heads × head width).

    `states` are queries, keys and values, each (tokens, heads × head width), or one tensor of all three
    side by side. Whoever calls has asked `can_attend`. Raises MemoryError.
    """
    texts = tuple(lengths), tuple(queries)
    mixed: torch.Tensor = _Attend.apply(heads, *texts, *states)  # type: ignore[no-untyped-call]
    return mixed


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, heads: Heads, lengths: tuple[int, ...], queries: tuple[int, ...], *states: torch.Tensor
    ) -> torch.Tensor:
        states = tuple(given if given.stride(-1) == 1 else given.contiguous() for given in states)
        query = _three(states, heads)[0]
        out = query.new_empty(len(query), heads.count * heads.width)
        logsums = query.new_empty(len(query), heads.count)
        ctx.heads, ctx.texts = heads, (lengths, queries)
        ctx.seed = int(torch.randint(1 << 62, ())) if heads.kept else 0
        asked = _asked(ctx, states, out, logsums)
        _call("attention_forward", out, asked)
        ctx.save_for_backward(out, logsums, *states)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: torch.Tensor) -> Any:
        out, logsums, *states = ctx.saved_tensors
        gradients = [torch.empty_like(given) for given in states]
        of_out = of_out.contiguous()
        asked = _asked(ctx, states, out, logsums)
        for name, part in zip(("of_query", "of_key", "of_value"), _three(gradients, ctx.heads), strict=True):
            setattr(asked, name, _part(part))
        asked.of_out = _part(of_out)
        _call("attention_backward", out, asked)
        return (None, None, None, *gradients)


def _three(states: Sequence[torch.Tensor], heads: Heads) -> Sequence[torch.Tensor]:
    """Queries, keys and values."""
    if len(states) > 1:
        return states
    widths = [heads.width * count for count in (heads.count, heads.keys, heads.keys)]
    return torch.split(states[0], widths, dim=1)


def _asked(ctx: Any, states: Sequence[torch.Tensor], out: torch.Tensor, logsums: torch.Tensor) -> _Attention:
    heads: Heads = ctx.heads
    query, key, value = (_part(part) for part in _three(states, heads))
    starts, asks = (_ends(counts) for counts in ctx.texts)
    asked = _Attention(
        query=query,
        key=key,
        value=value,
        out=_part(out),
        logsums=address(logsums),
        starts=starts.ctypes.data,
        asks=asks.ctypes.data,
        from_last=heads.from_last,
        texts=len(starts) - 1,
        heads=heads.count,
        key_heads=heads.keys,
        width=heads.width,
        window=heads.window or 0,
        level=heads.kept,
        threads=torch.get_num_threads(),
        seed=ctx.seed,
        scaling=heads.scaling,
    )
    # another thread's texts may drive them out of the cache
    asked.held = starts, asks
    return asked


def _part(states: torch.Tensor) -> _States:
    return _States(address(states), states.stride(0))


@lru_cache(maxsize=64)
def _ends(counts: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Where each text begins, and the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _call(name: str, like: torch.Tensor, asked: _Attention) -> None:
    if getattr(present_kernels(like), name)(ctypes.byref(asked)):
        raise MemoryError(f"{name} has no room for one text's scores")
