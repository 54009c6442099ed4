"""How queries meet keys: what every way to compute attention has to know."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Scoring"]


@dataclass(frozen=True, slots=True)
class Scoring:
    """The parameters of causal attention."""

    scaling: float
    dropout: float = 0.0
    window: int | None = None
    """A token sees this many tokens, itself included; None: all before it"""
