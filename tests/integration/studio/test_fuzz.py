"""Requests that nobody sends on purpose: the studio keeps to its own schema, and none is its fault."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.chaos.fuzzed import fuzzed_studio

# benchmarks/chaos.py sends ten times as many
EXAMPLES = 52
REQUESTS = 5_000


@pytest.fixture(autouse=True)
def _no_fault_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.ERROR, "tunesmith.api")
    yield
    assert not [record.getMessage() for record in caplog.records if "fault=" in record.getMessage()]


@pytest.mark.timeout(900)
def test_every_answer_of_the_studio_is_as_the_schema_says(tmp_path: Path, small_base: Path) -> None:
    with fuzzed_studio(tmp_path / "studio", small_base) as studio:
        rounds = [studio.fuzz(EXAMPLES, seed=1, deletes=False), studio.fuzz(EXAMPLES, seed=2, deletes=True)]
        paths = httpx.get(f"{studio.url}/openapi.json").json()["paths"]
    assert not [fault for found in rounds for fault in found.faults]
    cases = sum((found.cases for found in rounds), Counter[tuple[str, int]]())
    assert cases.total() >= REQUESTS
    assert {status for _, status in cases} >= {200, 400, 404, 405, 415}
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {operation for operation, _ in cases} == operations
