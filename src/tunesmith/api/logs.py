"""The server's log: one line an event on standard error, for people or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import IO, Any, Literal

from tunesmith.api.exchange import LOGGER

__all__ = ["LogFormat", "log_handler", "start_log"]

LogFormat = Literal["text", "json"]

# of other libraries only what an operator must know
_LEVELS = {LOGGER.name: logging.INFO, "uvicorn.error": logging.WARNING, "asyncio": logging.WARNING}


def start_log(log_format: LogFormat) -> None:
    """Write the log to standard error, where nothing else was said of it before."""
    handler = log_handler(log_format)
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not logger.handlers:
            logger.addHandler(handler)
        logger.propagate = False


def log_handler(log_format: LogFormat, stream: IO[str] | None = None) -> logging.Handler:
    """What writes the log to `stream`, by default standard error."""
    handler = logging.StreamHandler(stream)
    text = _Text("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_Json() if log_format == "json" else text)
    return handler


class _Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """What is ours as it is, of others only what cannot quote a text."""
        if record.name != LOGGER.name:
            record.message = _guarded(record)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: ARG002, N802 -- logging's signature
        """Nothing: an exception may quote a text."""
        return ""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return super().format(record).rstrip("\n")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object in one line."""
        at = datetime.fromtimestamp(record.created, UTC)
        values = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
        }
        said = getattr(record, "fields", None)
        if said is None:
            ours = record.name == LOGGER.name
            said = {"event": "note", "message": record.getMessage() if ours else _guarded(record)}
        return json.dumps({**values, **said})


def _guarded(record: logging.LogRecord) -> str:
    """The first line and the kind of exception: what comes after it may quote a text."""
    first = record.getMessage().partition("\n")[0]
    kind = record.exc_info[0] if record.exc_info else None
    return first if kind is None else f"{first} fault={kind.__name__}"
