"""What all tests share."""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# a busy machine must not decide a test
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# no test may depend on a network; and on two cores, more threads only get in each other's way
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SHARED = Path(__file__).parents[2] / "shared"
GOLDEN = Path(__file__).parent / "golden"


# a file's tests run one after the other: the longest ones begin first, so that none is left alone at the end
LONGEST = (
    "test_memory.py",
    "test_docs.py",
    "test_fuzz.py",
    "test_kills.py",
    "test_workers.py",
    "test_export.py",
)


def pytest_collection() -> None:
    # what is imported stays: looking for garbage in it takes a quarter of the time, and a part of the tests'
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what tests/golden should hold")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in tests/golden, or write it there."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), "if this is meant: pytest --update-golden"

    return compare


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """A test that changes what all share is told here, and not by another one that comes to run after it."""
    log, hook = logging.getLogger("tunesmith.api"), threading.excepthook
    yield
    changed = not log.propagate or threading.excepthook is not hook
    log.propagate, threading.excepthook = True, hook
    assert not changed, "a server was started in the tests' own process: `serves_here` is for that"


@pytest.fixture
def serves_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in the tests' own process leaves log and crashes as they are."""
    from tunesmith.api import crashes, logs

    monkeypatch.setattr(logs, "start_log", lambda _format: None)
    monkeypatch.setattr(crashes, "leave_no_text", lambda: None)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the cache of whoever runs it; subprocesses inherit the place."""
    os.environ["TUNESMITH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two layers, untrained, in a directory."""
    from tests.models import save_tiny_base

    return save_tiny_base(tmp_path_factory.mktemp("base") / "gpt2")


@pytest.fixture(scope="session")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows of two classes that even a tiny model can tell apart."""
    from tests.models import POLITICS, SPORTS

    path = tmp_path_factory.mktemp("data") / "news.jsonl"
    rows = [
        {"text": f"{text} {number} rounds in", "label": label}
        for number in range(10)
        for label, texts in (("sports", SPORTS), ("politics", POLITICS))
        for text in texts
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of the tests' own; see `new_database`."""
    from tests.postgres import binaries, running

    programs = binaries()
    if programs is None:
        pytest.skip("needs PostgreSQL's programs in /usr/lib/postgresql: apt-get install postgresql")
    with running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of a bucket in a store of the tests' own that speaks S3's protocol."""
    from tests.object_store import object_store

    with object_store() as address:
        yield address


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real data beside the project; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, the real data, which is not distributed with the project")
    return SHARED
