"""GELU, dropout and what stands beside them in one pass, which adds the matrix product's bias on its way."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_uint64, c_void_p
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tunesmith.kernels.library import address, present_kernels

__all__ = ["add_dropped_natively", "gelu_natively"]

# rows of a part, as pointwise.c has it
_PART = 32


class _Pointwise(ctypes.Structure):
    """pointwise.c's struct of this name."""

    _fields_ = (
        *((name, c_void_p) for name in ("values", "bias", "residual", "of_out")),
        *((name, c_void_p) for name in ("out", "of_values", "of_bias", "sums")),
        *((name, c_int64) for name in ("rows", "width", "level", "threads")),
        ("seed", c_uint64),
    )


def gelu_natively(values: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """GPT-2's GELU of `values + bias`, (tokens, width); `kernels_for` has answered that there are kernels."""
    out: torch.Tensor = _Gelu.apply(values, bias)  # type: ignore[no-untyped-call]
    return out


def add_dropped_natively(
    values: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor, kept: int
) -> torch.Tensor:
    """`residual` and what dropout leaves of `values + bias`: it keeps `kept` of 65,536, or for 0 all."""
    out: torch.Tensor = _AddDropped.apply(values, bias, residual, kept)  # type: ignore[no-untyped-call]
    return out


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        values = values.contiguous()
        out = torch.empty_like(values)
        _call("gelu_forward", values=values, bias=bias, out=out)
        ctx.save_for_backward(values, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: torch.Tensor) -> Any:
        values, bias = ctx.saved_tensors
        return _gradients("gelu_backward", of_out, bias, values=values, bias=bias)


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor, kept: int
    ) -> torch.Tensor:
        values, residual = values.contiguous(), residual.contiguous()
        out = torch.empty_like(values)
        ctx.drop = {"level": kept, "seed": int(torch.randint(1 << 62, ())) if kept else 0}
        _call("add_dropped_forward", values=values, bias=bias, residual=residual, out=out, **ctx.drop)
        ctx.save_for_backward(bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: torch.Tensor) -> Any:
        (bias,) = ctx.saved_tensors
        return (*_gradients("add_dropped_backward", of_out, bias, **ctx.drop), of_out, None)


def _gradients(
    name: str, of_out: torch.Tensor, bias: torch.Tensor | None, /, **given: Any
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Of the values and of the bias."""
    of_out = of_out.contiguous()
    of_values = torch.empty_like(of_out)
    of_bias = None if bias is None else torch.empty_like(bias)
    sums = of_out.new_empty(-(-len(of_out) // _PART), of_out.shape[1])
    _call(name, of_out=of_out, of_values=of_values, of_bias=of_bias, sums=sums, **given)
    return of_values, of_bias


def _call(name: str, **given: Any) -> None:
    like = given["of_out"] if "of_out" in given else given["out"]
    for key, value in given.items():
        given[key] = address(value) if isinstance(value, torch.Tensor) else value
    rows, width = like.shape
    asked = _Pointwise(rows=rows, width=width, threads=torch.get_num_threads(), **given)
    getattr(present_kernels(like), name)(ctypes.byref(asked))
