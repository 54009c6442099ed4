"""A run -> the same model in another form, which is shown to answer alike before it is called done."""

from __future__ import annotations

__all__: list[str] = []
