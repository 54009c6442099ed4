"""The file of API keys: names and hashes, one object a key; the keys themselves are nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from tunesmith.config import Config
from tunesmith.errors import ConfigError, Problem
from tunesmith.files import alone_beside, read_json, sha256_bytes, write_json

__all__ = [
    "DEFAULT_PROJECT",
    "ENVIRONMENT",
    "ApiKey",
    "KeyName",
    "add_key",
    "key_hash",
    "read_keys",
    "remove_key",
]

DEFAULT_PROJECT = "default"
"""The project of keys that name none, and of callers who need no key."""

ENVIRONMENT = "environment"
"""The name of the one key that stands in TUNESMITH_API_KEY."""

_KEY_BYTES = 32
_OWNER_ONLY = 0o600
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

KeyName = Annotated[str, StringConstraints(pattern=_NAME)]
Rate = Annotated[int, Field(ge=0)]


class ApiKey(Config):
    """Who holds a key, and how much may be asked with it."""

    name: KeyName
    """Stands in logs and metrics for whoever holds the key."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of the key in hexadecimal."""

    made: AwareDatetime
    """When the key was made."""

    project: KeyName | None = None
    """Whose files, jobs and models a studio gives to whoever holds the key. Left out: `default`."""

    requests_per_minute: Rate | None = None
    """Instead of the server's own limit; 0: none."""

    texts_per_minute: Rate | None = None
    """Instead of the server's own limit; 0: none."""


def key_hash(key: str) -> str:
    """The SHA-256 of a key in hexadecimal.

    A key that was made by chance cannot be guessed from it, so that no slow hash is needed.
    """
    return sha256_bytes(key.encode("utf-8", "surrogateescape"))


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys in a file, in its order; raise ConfigError or StorageError where it cannot be used."""
    values = read_json(path)
    if not isinstance(values, list):
        raise ConfigError(_bad("the file holds no list of keys", str(path)))
    problems: list[Problem] = []
    keys = [
        key for place, value in enumerate(values, 1) if (key := _key(value, f"{path}, key {place}", problems))
    ]
    problems += [_bad(f"the name {name!r} stands in it twice", str(path)) for name in _twice(keys)]
    if problems:
        raise ConfigError(problems)
    return tuple(keys)


def _key(value: object, where: str, problems: list[Problem]) -> ApiKey | None:
    try:
        key = ApiKey.model_validate(value)
    except ValidationError as error:
        # the value is not repeated: it may be a key that someone wrote there by mistake
        problems += [_bad(_fault(dict(fault)), where) for fault in error.errors()]
        return None
    if key.name == ENVIRONMENT:
        problems.append(_bad(f"the name {ENVIRONMENT!r} is kept for the key in TUNESMITH_API_KEY", where))
    return key


def _fault(fault: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    return f"`{name}`: {fault['msg']}" if name else "this is no object"


def _twice(keys: Sequence[ApiKey]) -> list[str]:
    names = [key.name for key in keys]
    return sorted({name for name in names if names.count(name) > 1})


def _bad(what: str, where: str) -> Problem:
    return Problem(
        "bad-keys", what, where, "leave the file to `tunesmith keys`, or write it as docs/serving.md says"
    )


def add_key(
    path: Path,
    name: str,
    *,
    now: datetime,
    project: str | None = None,
    requests_per_minute: int | None = None,
    texts_per_minute: int | None = None,
) -> str:
    """Make a key, write its hash into the file at `path` (made where there is none), and return the key.

    `now` knows its time zone. Raises ConfigError where the name is taken or cannot be used.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    values = {
        "name": name,
        "sha256": key_hash(key),
        "made": now.replace(microsecond=0),
        "project": project,
        "requests_per_minute": requests_per_minute,
        "texts_per_minute": texts_per_minute,
    }
    problems: list[Problem] = []
    added = _key(values, f"the name {name!r}", problems)
    if problems or added is None:
        raise ConfigError(problems)
    with alone_beside(path):
        keys = read_keys(path) if path.exists() else ()
        if name in [known.name for known in keys]:
            fix = "choose another name, or take the old key away: tunesmith keys remove"
            raise ConfigError(Problem("key-exists", f"there is a key named {name!r} already", str(path), fix))
        _write(path, [*keys, added])
    return key


def remove_key(path: Path, name: str) -> None:
    """Take a key out of the file at `path`; raise ConfigError where there is none of that name."""
    with alone_beside(path):
        keys = read_keys(path)
        if name not in [key.name for key in keys]:
            known = ", ".join(key.name for key in keys) or "none"
            problem = Problem(
                "no-key", f"there is no key named {name!r}", str(path), f"the keys are: {known}"
            )
            raise ConfigError(problem)
        _write(path, [key for key in keys if key.name != name])


def _write(path: Path, keys: Sequence[ApiKey]) -> None:
    values = [key.model_dump(mode="json", exclude_none=True) for key in keys]
    write_json(path, values, mode=_OWNER_ONLY)
