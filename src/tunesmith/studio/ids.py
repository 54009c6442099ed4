"""Names that the studio makes: nothing that a caller sends becomes part of a path or a query."""

from __future__ import annotations

import re
import secrets
from typing import Literal

__all__ = ["Kind", "checkpoint_model", "is_id", "is_suffix", "is_tuned", "model_name", "new_id"]

Kind = Literal["file", "upload", "part", "job", "event", "checkpoint"]

_PREFIXES: dict[Kind, str] = {
    "file": "file-",
    "upload": "upload_",
    "part": "part_",
    "job": "ftjob-",
    "event": "ftevent-",
    "checkpoint": "ftckpt_",
}
_HEX_DIGITS = 24
_SHORT_DIGITS = 8
_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def new_id(kind: Kind) -> str:
    """An id that nobody else has."""
    return _PREFIXES[kind] + secrets.token_hex(_HEX_DIGITS // 2)


def is_id(kind: Kind, text: str) -> bool:
    """Whether `text` has the form of an id of that kind."""
    return re.fullmatch(rf"{re.escape(_PREFIXES[kind])}[0-9a-f]{{{_HEX_DIGITS}}}", text) is not None


def is_suffix(text: str) -> bool:
    """Whether `text` may stand in the name of a model as the caller's own part."""
    return _SUFFIX.fullmatch(text) is not None


def is_tuned(model: str) -> bool:
    """Whether a name is that of a model that a job made, and no base's."""
    return model.startswith("ft:")


def model_name(base: str, project: str, suffix: str | None, job_id: str) -> str:
    """What the model of a job is called: `ft:base:project:suffix:id`, or `ft:base:project::id`."""
    short = job_id.removeprefix(_PREFIXES["job"])[:_SHORT_DIGITS]
    return f"ft:{base}:{project}:{suffix or ''}:{short}"


def checkpoint_model(model: str, step: int) -> str:
    """What the model of a checkpoint is called."""
    return f"{model}:ckpt-step-{step}"
