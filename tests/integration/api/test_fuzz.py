"""Requests that nobody sends on purpose: the server keeps to its own schema, and none is its fault."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fuzzing import fuzz
from tests.integration.api.conftest import Serve, WriteModel
from tests.tormenting import torment
from tunesmith.api.loading import Loader
from tunesmith.predict import Predictor

# benchmarks/fuzz.py sends many more
EXAMPLES = 6


@pytest.fixture
def url(serve_live: Serve, predictor: Predictor, write_model: WriteModel, tmp_path: Path) -> str:
    """A server below whose root lie `one`, `two` and `damaged`."""
    for name in ("one", "two", "damaged"):
        write_model(tmp_path / name)
    os.truncate(tmp_path / "damaged" / "model.safetensors", 1000)
    client = serve_live(predictor, load=Loader().load, model_root=tmp_path, max_batches=1000)
    return str(client.base_url).rstrip("/")


@pytest.fixture(autouse=True)
def _no_fault_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.ERROR, "tunesmith.api")
    yield
    assert not [record.getMessage() for record in caplog.records if "fault=" in record.getMessage()]


def test_every_answer_is_as_the_schema_says(url: str) -> None:
    found = fuzz(url, EXAMPLES, seed=1)
    assert not found.faults
    statuses = {status for _, status in found.cases}
    # allowed and forbidden, found and not found
    assert statuses >= {200, 201, 202, 204, 400, 404, 405, 415}
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {operation for operation, _ in found.cases} == operations


def test_what_was_made_to_break_the_server_does_not(url: str) -> None:
    found = torment(url)
    assert not found.faults
    assert {status for _, status in found.cases} >= {200, 202, 400, 403, 404, 405, 415}
