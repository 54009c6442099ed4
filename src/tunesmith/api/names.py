"""What the models of a server are called: paths and NAME=PATH -> a path for each name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tunesmith.api.about import name_of
from tunesmith.errors import Problem, ServiceError

__all__ = ["NAME_PATTERN", "NAME_RULE", "is_name", "named_models"]

NAME_RULE = "up to 64 letters, digits, `.`, `_` and `-`, a letter or digit first"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def is_name(name: str) -> bool:
    """Whether a model may be given this name: it stands in URLs."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def named_models(paths: Iterable[Path], settings: Sequence[str] = ()) -> dict[str, Path]:
    """The models of `paths`, called as their runs are, then those of `settings` (NAME=PATH).

    Raises ServiceError where a name stands twice or cannot be one; nothing is opened.
    """
    pairs = [(name, sign, Path(path)) for name, sign, path in (each.partition("=") for each in settings)]
    problems = [_bad_name(name + sign) for name, sign, path in pairs if not (sign and is_name(name))]
    found = [*((name_of(path), path) for path in paths), *((name, path) for name, _, path in pairs)]
    counts = Counter(name for name, _ in found)
    problems += [
        _taken(name, [str(path) for its, path in found if its == name]) for name in counts if counts[name] > 1
    ]
    if problems:
        raise ServiceError(problems)
    return dict(found)


def _bad_name(typed: str) -> Problem:
    what = f"{typed!r} names no model"
    return Problem("bad-model-name", what, "--model", f"write --model NAME=PATH; a name has {NAME_RULE}")


def _taken(name: str, paths: Sequence[str]) -> Problem:
    what = f"{len(paths)} models are called {name!r}"
    return Problem("model-taken", what, ", ".join(paths), "name one of them with --model NAME=PATH")
