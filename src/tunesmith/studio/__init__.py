"""The studio: fine-tuning jobs and their models behind OpenAI's HTTP API, on your own machines."""

from __future__ import annotations

__all__: list[str] = []
