"""Bundles of one base, opened by one server: the body is held once, and no answer changes."""

from __future__ import annotations

import asyncio
import copy
import threading
import weakref
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import torch

from tests.integration.api.conftest import LABELS, Serve, WriteModel
from tests.models import POLITICS, SPORTS
from tests.unit.model.test_shared import held_bytes
from tests.waiting import until, until_then
from tunesmith.api.batches import Batches
from tunesmith.api.context import Context
from tunesmith.api.gate import Gate
from tunesmith.api.loading import Loader
from tunesmith.api.models import Models
from tunesmith.api.runner import Server
from tunesmith.api.served import Loaded
from tunesmith.api.server import serve_model
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Shelf
from tunesmith.bundle import open_bundle
from tunesmith.predict import Predictor

TEXTS = [*SPORTS, *POLITICS]


def with_another_head(predictor: Predictor) -> Predictor:
    """What `method: head` makes of the same base: the body stays as it is."""
    classifier = replace(predictor.classifier, model=copy.deepcopy(predictor.classifier.model))
    with torch.no_grad():
        classifier.model.score.weight.mul_(-1)
    return Predictor(classifier, predictor.max_tokens)


def test_heads_on_one_base_share_it_and_answer_as_they_did(
    serve_live: Serve, predictor: Predictor, write_model: WriteModel, tmp_path: Path
) -> None:
    paths = [write_model(tmp_path / "one"), write_model(tmp_path / "two", with_another_head(predictor))]
    alone = [open_bundle(path).predictor() for path in paths]
    expected = [model.predict(TEXTS) for model in alone]
    assert [each.target for each in expected[0]] != [each.target for each in expected[1]]
    loader = Loader()
    first, second = (loader.load(path) for path in paths)
    assert isinstance(first.answers, Predictor)
    assert isinstance(second.answers, Predictor)
    models = [first.answers.classifier.model, second.answers.classifier.model]
    head = models[0].score.weight.nbytes
    assert held_bytes(models) == held_bytes(models[:1]) + head
    assert held_bytes([each.classifier.model for each in alone]) > 1.9 * held_bytes(models)
    assert [model.predict(TEXTS) for model in (first.answers, second.answers)] == expected
    client = serve_live(first.answers, [second])
    for name, predictions in (("tiny", expected[0]), ("two", expected[1])):
        results = client.post("/v1/classify", json={"input": TEXTS, "model": name}).json()["results"]
        assert [result["label"] for result in results] == [each.target for each in predictions]
    assert first.about["parameters"] == alone[0].classifier.parameters
    assert set(first.answers.labels) == set(LABELS)


@pytest.fixture
def served(serve_live: Serve, predictor: Predictor, write_model: WriteModel, tmp_path: Path) -> httpx.Client:
    """A server of `tiny`, below whose root lie `one` (the same), `two` (it turned around) and `damaged`."""
    write_model(tmp_path / "one")
    write_model(tmp_path / "two", with_another_head(predictor))
    write_model(tmp_path / "damaged")
    with (tmp_path / "damaged" / "model.safetensors").open("r+b") as weights:
        weights.truncate(1000)
    return serve_live(predictor, load=Loader().load, model_root=tmp_path)


def labels_of(client: httpx.Client, texts: Sequence[str], **fields: object) -> list[str]:
    response = client.post("/v1/classify", json={"input": list(texts), **fields})
    assert response.status_code == 200, response.text
    return [result["label"] for result in response.json()["results"]]


def test_no_request_is_lost_while_a_model_is_replaced(served: httpx.Client, predictor: Predictor) -> None:
    before = [each.labels[0] for each in predictor.predict(TEXTS)]
    after = [each.labels[0] for each in with_another_head(predictor).predict(TEXTS)]
    assert before != after
    ends = threading.Event()

    def ask() -> list[list[str]]:
        answers = []
        while not ends.is_set():
            answers.append(labels_of(served, TEXTS))
        return answers

    with ThreadPoolExecutor(4) as pool:
        begun = [pool.submit(ask) for _ in range(4)]
        try:
            for path in ("two", "one", "two"):
                assert served.put("/v1/models/tiny", json={"path": path}).status_code == 200
                expected = after if path == "two" else before
                # whoever asks from now on is answered by the new one
                assert labels_of(served, TEXTS) == expected
        finally:
            ends.set()
        answers = [answer for each in begun for answer in each.result()]
    assert {tuple(answer) for answer in answers} == {tuple(before), tuple(after)}


def test_a_damaged_bundle_leaves_the_server_as_it_was(served: httpx.Client) -> None:
    refused = served.post("/v1/models", json={"name": "new", "path": "damaged"})
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "bad-model"
    assert "bundle-damaged" in refused.text
    assert served.post("/v1/models", json={"name": "new", "path": "two"}).status_code == 201
    assert len(labels_of(served, TEXTS, model="new")) == len(TEXTS)


def test_a_model_that_went_is_freed(write_model: WriteModel, tmp_path: Path) -> None:
    held: list[weakref.ref[Predictor]] = []

    def load(path: Path, name: str) -> Loaded:
        loaded = Loader().load(path, name)
        assert isinstance(loaded.answers, Predictor)
        held.append(weakref.ref(loaded.answers))
        return loaded

    write_model(tmp_path / "one")
    models = Models([Loader().load(tmp_path / "one")], Settings(), Gate(9))
    shelf = Shelf(models, tmp_path, load)

    async def come_and_go() -> None:
        async with models.running(lambda: None):
            await shelf.add("new", "one")
            assert held[0]() is not None
            await shelf.remove("new")

    asyncio.run(come_and_go())
    until(lambda: held[0]() is None)


@pytest.mark.usefixtures("serves_here")
def test_a_model_that_was_there_first_is_freed_when_it_goes(
    write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Predictor]] = []
    load = Loader.load

    def noted(loader: Loader, path: Path, name: str) -> Loaded:
        loaded = load(loader, path, name)
        assert isinstance(loaded.answers, Predictor)
        held.append(weakref.ref(loaded.answers))
        return loaded

    def run(server: Server, _sockets: object) -> None:
        async def go() -> None:
            context = server._context
            assert isinstance(context, Context)
            async with context.running():
                await until_then(lambda: context.models.warm)
                await context.shelf.remove("two")

        asyncio.run(go())
        # the thread in which it answered has it in hand for a moment more
        until(lambda: held[1]() is None)
        assert held[0]() is not None

    monkeypatch.setattr(Loader, "load", noted)
    monkeypatch.setattr(Server, "run", run)
    paths = {name: write_model(tmp_path / name) for name in ("one", "two")}
    serve_model(paths, port=0, model_root=tmp_path, settings=Settings())
    assert len(held) == 2


def test_a_batch_keeps_its_model_no_longer_than_it_takes(write_model: WriteModel, tmp_path: Path) -> None:
    loader, place = Loader(), write_model(tmp_path / "one")
    held: list[weakref.ref[Predictor]] = []

    async def scenario() -> None:
        models = Models([loader.load(place)], Settings(), Gate(9))
        batches = Batches(Settings())
        async with models.running(lambda: None), batches.running():
            await answered(models, batches)
            await until_then(lambda: held[0]() is None)

    async def answered(models: Models, batches: Batches) -> None:
        loaded = loader.load(place, "new")
        assert isinstance(loaded.answers, Predictor)
        held.append(weakref.ref(loaded.answers))
        served = models.made_of(loaded)
        del loaded
        batch = await batches.add(chunks(), served, owner="", suffix=".csv", text_column=None)
        while batch.record.ended is None:
            await asyncio.sleep(0.01)
        assert batch.record.status == "done"
        await served.stop()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"text\nthe striker scored\n"

    asyncio.run(scenario())
