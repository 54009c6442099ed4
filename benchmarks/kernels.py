"""What compiled kernels take, beside torch's operations, for what stands between a block's matrix products.

    python -m benchmarks.kernels

A block of GPT-2 of width 384 on 16 texts, forward and backward. Both ways take turns, each behind a product
of all tokens, as in a step: what was in the cache before is gone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.machine import machine
from benchmarks.tables import write_table
from tunesmith.files import write_json
from tunesmith.kernels import library
from tunesmith.model.attention import attend_fused
from tunesmith.model.dropout import add_dropped
from tunesmith.model.faster import activated
from tunesmith.model.scoring import Scoring

__all__ = ["main"]

_HEADS, _WIDTH, _DROPOUT, _ROUNDS = 6, 384, 0.1, 41
_TEXTS = {"short": (3.85, 0.35), "long": (6.0, 0.25)}
"""Mean and deviation of the logarithm of their tokens"""

Step = Callable[[], torch.Tensor]


def main() -> None:
    """Print milliseconds of both ways, save them, and write the table of the documentation."""
    if reason := library.missing():
        raise SystemExit(f"no kernels: {reason}")
    results = {}
    for name, (mean, deviation) in _TEXTS.items():
        drawn = np.random.default_rng(0).lognormal(mean, deviation, 16)
        lengths = [int(length) for length in np.clip(drawn, 1, 1024)]
        for piece, (step, inputs) in _pieces(lengths).items():
            found = _in_turn(step, inputs, sum(lengths))
            results[f"{name} {piece}"] = found
            Console().print(f"{name} {piece}: {found}")
    saved = {"machine": machine(), "results": results}
    write_json(Path(__file__).parent / "results" / "kernels.json", saved)
    write_table("docs/performance.md", "kernels", _table(saved))


def _table(saved: dict[str, Any]) -> str:
    rows = ["| 16 texts, width 384 | torch | kernels | times faster |", "| --- | --- | --- | --- |"]
    for name, found in saved["results"].items():
        torchs, ours = found["torch_ms"], found["kernels_ms"]
        rows.append(f"| {name} | {torchs:.2f} ms | {ours:.2f} ms | {torchs / ours:.1f} |")
    ran = saved["machine"]
    said = f"{ran['cores']} cores ({ran['processor']}, {ran['capability']}), {ran['date']}."
    return "\n".join([*rows, "", said])


def _pieces(lengths: list[int]) -> dict[str, tuple[Step, list[torch.Tensor]]]:
    tokens, scoring = sum(lengths), Scoring((_WIDTH / _HEADS) ** -0.5, _DROPOUT)
    fused, inner = (torch.randn(tokens, factor * _WIDTH).requires_grad_() for factor in (3, 4))
    values, residual = (torch.randn(tokens, _WIDTH).requires_grad_() for _ in range(2))
    gelu, dropout = torch.nn.GELU(approximate="tanh"), torch.nn.Dropout(_DROPOUT)
    return {
        "attention": (lambda: attend_fused(fused, _HEADS, lengths, scoring), [fused]),
        "GELU": (lambda: activated(inner, None, gelu), [inner]),
        "dropout and residual": (lambda: add_dropped(values, residual, dropout), [values, residual]),
    }


def _in_turn(step: Step, inputs: list[torch.Tensor], tokens: int) -> dict[str, float]:
    """Median milliseconds of each way, forward and backward."""
    compiled, none = library._found, lambda _real: (None, "")
    times: dict[str, list[float]] = {"torch_ms": [], "kernels_ms": []}
    for _ in range(_ROUNDS):
        for name, found in (("torch_ms", none), ("kernels_ms", compiled)):
            library._found = found  # type: ignore[assignment]
            times[name].append(_once(step, inputs, tokens))
    library._found = compiled
    return {name: round(statistics.median(taken[1:]) * 1000, 3) for name, taken in times.items()}


def _once(step: Step, inputs: list[torch.Tensor], tokens: int) -> float:
    _multiply(tokens)
    began = time.perf_counter()
    result = step()
    forward = time.perf_counter() - began
    gradient = torch.ones_like(result)
    _multiply(tokens)
    began = time.perf_counter()
    torch.autograd.grad(result, inputs, gradient)
    return forward + time.perf_counter() - began


def _multiply(tokens: int) -> None:
    torch.mm(torch.ones(tokens, _WIDTH), torch.ones(_WIDTH, 4 * _WIDTH))


if __name__ == "__main__":
    main()
