"""A server removes what is as old as its studio.yaml says, and tells of what stays."""

from __future__ import annotations

import time
from pathlib import Path

import openai
import pytest

from tests.integration.studio.routes.conftest import Live
from tests.listening import listening
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.blobs import LocalBlobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.ids import model_name, new_id
from tunesmith.studio.store import Store
from tunesmith.studio.types import File, Job, Model

_DAY = 24 * 3600


def _filled(url: str, blobs: LocalBlobs) -> tuple[File, Job, str]:
    """A file and a job with its model, of ten days ago."""
    store = Store(url, clock=lambda: time.time() - 10 * _DAY)
    name = new_id("file")
    with blobs.writing(f"files/{name}") as stream:
        stream.write(b"{}")
    file = store.files.add(File(name, "default", 0, "a.jsonl", "fine-tune", 2, "0" * 64, f"files/{name}"))
    method = {"type": "supervised", "supervised": {"hyperparameters": {}}}
    job = store.jobs.add(Job(new_id("job"), "default", 0, "embedded", file.id, 1, method=method))
    claim = store.queue.claim_to_validate("w")
    assert claim is not None
    model = model_name("embedded", "default", None, job.id)
    with blobs.writing(f"models/{job.id}-1-1") as stream:
        stream.write(b"x")
    with store.queue.held(claim.lease) as held:
        held.add(Model(model, "default", int(held.now), job.id, "embedded", "writer", f"models/{job.id}-1-1"))
        held.release("succeeded", fine_tuned_model=model)
    store.close()
    return file, job, model


def test_a_server_forgets_what_is_old_and_its_model_is_still_told(tmp_path: Path) -> None:
    url, blobs = f"sqlite:///{tmp_path}/studio.db", LocalBlobs(tmp_path / "blobs")
    file, job, model = _filled(url, blobs)
    store = Store(url)
    app = create_studio(store, blobs, StudioConfig(file_days=9, job_days=9), Settings())
    with listening(app) as address:
        live = Live(address, store, blobs, tmp_path, {}, app.state.context)
        with live.client() as client:
            until = time.monotonic() + 60
            while client.fine_tuning.jobs.list().data or client.files.list().data:
                assert time.monotonic() < until, "the janitor did not come"
                time.sleep(0.05)
            with pytest.raises(openai.NotFoundError):
                client.fine_tuning.jobs.retrieve(job.id)
            with pytest.raises(openai.NotFoundError):
                client.files.retrieve(file.id)
            told = client.models.retrieve(model)
            assert (told.id, told.owned_by) == (model, "default")
            assert model in [each.id for each in client.models.list()]
            assert client.models.delete(model).deleted
    assert live.kept() == []
    store.close()
