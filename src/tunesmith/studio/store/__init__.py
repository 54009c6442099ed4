"""What is kept of the studio: one database, SQLite or PostgreSQL."""

from __future__ import annotations

from tunesmith.studio.store.store import Store

__all__ = ["Store"]
