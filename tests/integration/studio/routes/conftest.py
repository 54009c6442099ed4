"""A studio behind a real port, and the official client; the store's own queue stands in for a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openai import OpenAI

from tests.listening import listening
from tunesmith.api.keys import add_key
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.blobs import LocalBlobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.context import Studio
from tunesmith.studio.store import Store

LINES = b'{"messages": [{"role": "user", "content": "canary-text"}]}\n' * 12


@dataclass(frozen=True)
class Live:
    """A studio that listens."""

    url: str
    store: Store
    blobs: LocalBlobs
    directory: Path
    keys: dict[str, str]
    app: FastAPI

    @property
    def studio(self) -> Studio:
        """What the routes share."""
        context: Studio = self.app.state.context
        return context

    def client(self, project: str = "default", **options: Any) -> OpenAI:
        """The official client, which refuses whatever is not as the contract says."""
        key = self.keys.get(project, "none")
        values = {
            "api_key": key,
            "base_url": f"{self.url}/v1",
            "_strict_response_validation": True,
            **options,
        }
        return OpenAI(**values)

    def http(self, project: str = "default") -> httpx.Client:
        """A client without any manners of its own."""
        headers = {"Authorization": f"Bearer {self.keys[project]}"} if project in self.keys else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20)

    def kept(self) -> list[str]:
        """All that lies among the blobs, temporary files included."""
        paths = (self.directory / "blobs").rglob("*")
        return sorted(str(path.relative_to(self.directory / "blobs")) for path in paths if path.is_file())


MakeStudio = Callable[..., Live]


@pytest.fixture(scope="module")
def make_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStudio]:
    """Config and settings -> a studio that listens; with `projects`, each has a key."""
    with ExitStack() as stack:

        def make(
            config: dict[str, Any] | None = None, projects: tuple[str, ...] = (), **settings: Any
        ) -> Live:
            directory = tmp_path_factory.mktemp("studio")
            file = directory / "keys.json"
            keys = {name: add_key(file, name, now=datetime.now(UTC), project=name) for name in projects}
            if projects:
                settings["keys_file"] = file
            store = Store(f"sqlite:///{directory}/studio.db")
            stack.callback(store.close)
            blobs = LocalBlobs(directory / "blobs")
            bases = {"bases": {"embedded": "embedded", "org/base": "embedded"}}
            made = StudioConfig.model_validate({"free_bytes": 0, **bases, **(config or {})})
            app = create_studio(store, blobs, made, Settings(**settings))
            url = stack.enter_context(listening(app))
            return Live(url, store, blobs, directory, keys, app)

        yield make


@pytest.fixture(scope="module")
def live(make_studio: MakeStudio) -> Live:
    """One studio for all tests of a module, without keys."""
    return make_studio()
