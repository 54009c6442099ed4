"""A classifier as an ONNX graph: written, made smaller, and run without torch."""

from __future__ import annotations

__all__: list[str] = []
