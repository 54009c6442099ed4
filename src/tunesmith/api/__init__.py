"""The model behind HTTP: /v1/classify, health, metrics, and a page to try it."""

from __future__ import annotations

__all__: list[str] = []
