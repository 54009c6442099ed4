"""Adapters of one base on one server: the base is held once, and each answers as its run."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

import tunesmith as ts
from tests.adapters import NEEDS_PEFT, write_lora_run
from tests.integration.api.conftest import Serve
from tests.integration.test_adapters import TEXTS, adapter_of
from tests.models import save_tiny_base
from tests.unit.model.test_shared import held_bytes
from tunesmith.api.gate import Gate
from tunesmith.api.loading import Loader
from tunesmith.api.models import Models
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Shelf
from tunesmith.predict import Predictor

pytestmark = NEEDS_PEFT
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def root(news: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one base with their adapters; the base lies outside."""
    place = tmp_path_factory.mktemp("served")
    base = save_tiny_base(place / "base", seed=3)
    for seed, name in enumerate(NAMES):
        write_lora_run(place / "root" / name, base, seed, news)
    return place / "root"


@pytest.fixture(scope="module")
def expected(root: Path) -> dict[str, list[dict[str, float]]]:
    """What each run answers with merged weights."""
    return {name: [each.scores for each in ts.load(root / name).predict(TEXTS)] for name in NAMES}


def model_of(loader: Loader, path: Path, name: str) -> Any:
    answers = loader.load(path, name).answers
    assert isinstance(answers, Predictor)
    return answers.classifier.model


def asked(client: httpx.Client, name: str) -> list[dict[str, float]]:
    response = client.post("/v1/classify", json={"input": TEXTS[:-1], "model": name, "top_k": 2})
    assert response.status_code == 200, response.text
    return [{row["label"]: row["score"] for row in result["scores"]} for result in response.json()["results"]]


def test_each_answers_as_its_run_while_all_are_asked_at_once(
    serve_live: Serve, root: Path, expected: dict[str, list[dict[str, float]]]
) -> None:
    loader = Loader()
    first, *others = [loader.load(adapter_of(root / name), name) for name in NAMES]
    client = serve_live(first.answers, others)
    names = ["tiny", *NAMES[1:]] * 6
    with ThreadPoolExecutor(6) as pool:
        answered = list(pool.map(lambda name: asked(client, name), names))
    for name, answers in zip(names, answered, strict=True):
        for answer, scores in zip(answers, expected["a" if name == "tiny" else name], strict=False):
            assert answer == pytest.approx(scores, abs=1e-5)
    assert all(one != other for one, other in pairwise(expected.values()))
    told = {model["model"]: model["engine"] for model in client.get("/v1/models").json()["models"]}
    assert {told[name] for name in NAMES[1:]} == {"adapter"}


def test_the_base_is_held_once_for_all_of_them(root: Path) -> None:
    loader = Loader()
    models = [model_of(loader, adapter_of(root / name), name) for name in NAMES]
    own = [sum(weight.nbytes for weight in model.parameters()) for model in models]
    held = held_bytes(models)
    assert held < 1.5 * held_bytes(models[:1])
    assert held < sum(own) / 2
    # the same adapter once more takes nothing
    assert held_bytes([*models, model_of(loader, adapter_of(root / "a"), "again")]) == held


def test_a_base_that_serves_already_is_not_read_and_goes_with_the_last_that_uses_it(
    serve_live: Serve, predictor: Predictor, root: Path, expected: dict[str, list[dict[str, float]]]
) -> None:
    loader = Loader()
    place = adapter_of(root / "a")
    with_base = loader.bytes_of(place)
    client = serve_live(predictor, load=loader.load, model_root=root)

    def post(name: str) -> httpx.Response:
        return client.post("/v1/models", json={"name": name, "path": f"{name}/exports/adapter"})

    def delete(name: str) -> None:
        assert client.delete(f"/v1/models/{name}").status_code == 204

    assert post("a").status_code == 201
    assert loader.bytes_of(place) < with_base / 3, "the base is held"
    base = root.parent / "base"
    away = base.rename(base.with_name("away"))
    try:
        assert post("b").status_code == 201
        delete("a")
        for answer, scores in zip(asked(client, "b"), expected["b"], strict=False):
            assert answer == pytest.approx(scores, abs=1e-5)
        assert post("a").status_code == 201
        delete("a")
        delete("b")
        gc.collect()
        assert loader.bytes_of(place) == with_base, "the base went"
        refused = post("a")
    finally:
        away.rename(base)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad-model")
    assert "base-missing" in refused.text
    assert str(root.parent) not in refused.text
    assert post("a").status_code == 201


def test_memory_is_asked_for_the_base_only_where_it_is_not_held(root: Path) -> None:
    loader, place = Loader(), adapter_of(root / "a")
    base = (root.parent / "base" / "model.safetensors").stat().st_size

    async def scenario() -> None:
        models = Models([loader.load(root / "c")], Settings(), Gate(9))
        shelf = Shelf(models, root, loader.load, bytes_of=loader.bytes_of, free_bytes=lambda: base // 2)
        async with models.running(lambda: None):
            with pytest.raises(Refusal, match="bytes of memory") as refused:
                await shelf.add("b", "b/exports/adapter")
            assert refused.value.code == "model-too-large"
            models.put(models.made_of(loader.load(place, "a")))
            assert (await shelf.add("b", "b/exports/adapter")).engine == "adapter"

    asyncio.run(scenario())


def test_an_engine_for_all_takes_the_adapters_of_runs(root: Path) -> None:
    loader = Loader(engine="adapter")
    loaded = [loader.load(root / name, name) for name in NAMES]
    assert [each.about["engine"] for each in loaded] == ["adapter"] * len(NAMES)
    assert loader.bytes_of(root / "a") < Loader().bytes_of(root / "a") / 3
