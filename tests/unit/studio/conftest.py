"""A store with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import new_database
from tunesmith.studio.ids import new_id
from tunesmith.studio.store import Store
from tunesmith.studio.types import File, Job


@dataclass
class Clock:
    """Stands still until it is turned."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/studio.db"
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    opened = Store(url, lease_seconds=30, max_attempts=3, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def a_file() -> Callable[..., File]:
    def make(project: str = "default", **values: Any) -> File:
        name = new_id("file")
        given = {
            "filename": "train.jsonl",
            "purpose": "fine-tune",
            "bytes": 10,
            "sha256": "0" * 64,
            "blob": f"files/{name}",
            **values,
        }
        return File(id=name, project=project, created_at=0, **given)

    return make


@pytest.fixture
def a_job() -> Callable[..., Job]:
    def make(project: str = "default", **values: Any) -> Job:
        given = {"model": "embedded", "training_file": "file-1", "seed": 1, **values}
        return Job(id=new_id("job"), project=project, created_at=0, **given)

    return make
