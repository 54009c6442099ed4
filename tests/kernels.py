"""What a machine computes with and without compiled kernels."""

from __future__ import annotations

import pytest

from tunesmith.kernels.library import missing

__all__ = ["BOTH_WAYS", "compute_by", "need_kernels", "turn_off"]

BOTH_WAYS = ("kernels", "torch")


def need_kernels() -> None:
    """Skip a test where there are none."""
    if reason := missing():
        pytest.skip(f"no kernels: {reason}")


def turn_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch compute everything, as where there is no compiler."""
    monkeypatch.setattr("tunesmith.kernels.library._found", lambda _real: (None, "turned off by a test"))


def compute_by(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in one of `BOTH_WAYS`."""
    if way == "torch":
        turn_off(monkeypatch)
    else:
        need_kernels()
