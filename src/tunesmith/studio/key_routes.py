"""/v1/keys: which keys see the caller's project. They are read only.

Whoever makes a key speaks for its project for good, also where a proxy makes every caller look as if it sat
at this machine; so keys are made and taken away at the terminal, by who may write their file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from starlette.requests import Request

from tunesmith.api.exchange import exchange_of
from tunesmith.api.keys import DEFAULT_PROJECT, ENVIRONMENT, ApiKey, read_keys
from tunesmith.api.openapi import EVERYWHERE, responses
from tunesmith.api.refusal import Refusal
from tunesmith.api.schemas import Wire
from tunesmith.errors import UserError
from tunesmith.studio.context import on_disk, project_of, studio_of

__all__ = ["KeyObject", "Keys", "add_key_routes", "keys"]


class KeyObject(Wire):
    """A key, but for the key itself, of which only a hash is kept."""

    object: Literal["key"] = "key"
    name: str
    created_at: int | None
    """When it was made, in seconds since 1970; null for that of the environment."""
    requests_per_minute: int | None
    """Its own limit; null: that of the server."""
    yours: bool
    """Whether this request came with it."""


class Keys(Wire):
    """The keys of a project."""

    object: Literal["list"] = "list"
    project: str
    """Whose files, jobs and models the caller sees."""
    data: list[KeyObject]


def add_key_routes(app: FastAPI) -> None:
    """Add the route of keys, which OpenAI's API does not have in this form."""
    told = responses(*EVERYWHERE, "storage-fault")
    app.add_api_route("/v1/keys", keys, response_model=Keys, responses=told)


async def keys(request: Request) -> Keys:
    """List the keys of the caller's project."""
    settings, project = studio_of(request).settings, project_of(request)
    own = exchange_of(request).key
    found = [] if settings.keys_file is None else await on_disk(_read, settings.keys_file)
    data = [_shown(key, own) for key in found if (key.project or DEFAULT_PROJECT) == project]
    if settings.api_key is not None and project == DEFAULT_PROJECT:
        unmade = {"created_at": None, "requests_per_minute": None}
        data.append(KeyObject(name=ENVIRONMENT, yours=own == ENVIRONMENT, **unmade))
    return Keys(project=project, data=data)


def _read(path: Path) -> tuple[ApiKey, ...]:
    try:
        return read_keys(path)
    except UserError as error:
        message = "the file of keys cannot be read just now; those known last go on"
        raise Refusal("storage-fault", message, headers={"Retry-After": "1"}) from error


def _shown(key: ApiKey, own: str | None) -> KeyObject:
    return KeyObject(
        name=key.name,
        created_at=int(key.made.timestamp()),
        requests_per_minute=key.requests_per_minute,
        yours=key.name == own,
    )
