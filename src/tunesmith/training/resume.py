"""Go on only with what was begun, with the same data and options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import Problem, ResumeError
from tunesmith.files import read_json

__all__ = ["begun", "refuse_changes"]


_FIX = "leave --resume out, or name with --out the directory of the run that was stopped"


def begun(file: Path, *, fix: str = _FIX) -> dict[str, Any]:
    """What `file` says of the run that was begun there; raise ResumeError, with `fix`, where none was."""
    if not file.is_file():
        raise ResumeError(Problem("nothing-to-resume", "no run was begun here", str(file.parent), fix))
    about = read_json(file)
    if not isinstance(about, dict):
        fix = "begin anew with --overwrite"
        raise ResumeError(Problem("nothing-to-resume", "this does not describe a run", str(file), fix))
    return about


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], file: Path | str) -> None:
    """Raise ResumeError with every value of `now` that was another one `before`, as `file` says."""
    problems = [_changed(*change, file) for change in _differences({k: before.get(k) for k in now}, now)]
    if problems:
        raise ResumeError(problems)


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append((prefix + key, old, new))
    return found


def _changed(key: str, old: Any, new: Any, where: Path | str) -> Problem:
    fix = "resume with the same data and options, or begin anew with another --out"
    return Problem("resume-changed", _difference(key, old, new), str(where), fix)


def _difference(key: str, old: Any, new: Any) -> str:
    match key.split("."):
        case ["format"]:
            return f"`format`: the run was begun by a tunesmith of another format ({old!r}, here {new!r})"
        case ["sha256", part] if old and new:
            return f"`{key}`: the rows of the {part} data changed since the run began"
        case ["model"]:
            return f"`{key}`: it is another model than the one with which the run began"
        case ["base", part] if old and new:
            return f"`{key}`: the {part} of the base changed since the run began"
        case _:
            return f"`{key}` was {old!r} when the run began and is {new!r} now"
