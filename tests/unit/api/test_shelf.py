"""Models that come and go: each fault is one refusal, and the server is as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.api.conftest import KEY, Client, FakePredictor, MakeClient, refusal
from tests.waiting import until
from tunesmith.api.served import Loaded
from tunesmith.api.server import serve_model
from tunesmith.errors import BundleError, Problem, ServiceError
from tunesmith.predict import Prediction

MODELS = "/v1/models"


class Shop:
    """A directory of models, and a way to load them that a test can hold up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: dict[str, FakePredictor] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self.loading = threading.Event()
        self.fault: Exception | None = None

    def stock(self, name: str, predictor: FakePredictor | None = None) -> None:
        (self.root / name / "model").mkdir(parents=True)
        (self.root / name / "model" / "model.safetensors").write_bytes(b"weights")
        self.made[name] = predictor or FakePredictor((name, "other"))

    def load(self, place: Path, name: str) -> Loaded:
        self.loading.set()
        assert self.go_on.wait(20)
        if self.fault is not None:
            raise self.fault
        return Loaded(self.made[place.name], {"model": name, "base": place.name})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "root")
    shop.stock("fresh")
    shop.stock("newer")
    return shop


@pytest.fixture
def client(make_client: MakeClient, shop: Shop) -> Client:
    return make_client(load=shop.load, model_root=shop.root)


def names(client: Client) -> list[str]:
    return [facts["model"] for facts in client.get(MODELS).json()["models"]]


def test_a_model_comes_and_answers_and_goes(client: Client) -> None:
    response = client.post(MODELS, json={"name": "v2", "path": "fresh"})
    assert response.status_code == 201
    assert response.json()["base"] == "fresh"
    assert names(client) == ["news", "v2"]
    assert client.classify("fresh", model="v2").json()["results"][0]["label"] == "fresh"
    assert client.get("/readyz").status_code == 200
    gone = client.request("DELETE", f"{MODELS}/v2")
    assert (gone.status_code, gone.content) == (204, b"")
    assert refusal(client.classify("fresh", model="v2"))[:2] == (404, "no-such-model")
    assert names(client) == ["news"]


def test_the_next_is_the_default_when_the_first_goes_but_the_last_stays(client: Client) -> None:
    client.post(MODELS, json={"name": "v2", "path": "fresh"})
    assert client.request("DELETE", f"{MODELS}/news").status_code == 204
    assert client.classify("fresh").json()["model"] == "v2"
    assert refusal(client.request("DELETE", f"{MODELS}/v2"))[:2] == (409, "last-model")
    assert client.classify("fresh").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_a_root_all_is_refused(make_client: MakeClient, shop: Shop, method: str) -> None:
    client = make_client(load=shop.load)
    body = {"path": "fresh"} | ({"name": "v2"} if method == "POST" else {})
    path = MODELS if method == "POST" else f"{MODELS}/news"
    assert refusal(client.request(method, path, json=body)) == (403, "loading-off", None)
    assert names(client) == ["news"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_where_a_key_is_set_it_is_needed(make_client: MakeClient, shop: Shop, method: str) -> None:
    client = make_client(load=shop.load, model_root=shop.root, api_key=KEY)
    path = MODELS if method == "POST" else f"{MODELS}/news"
    assert refusal(client.request(method, path, json={"path": "fresh"}))[:2] == (401, "wrong-key")


@pytest.mark.parametrize("name", ["", ".", "../news", "a/b", "a b", "é", "x" * 65, "-x", "a\n"])
def test_a_name_that_is_none_is_refused(client: Client, name: str) -> None:
    response = client.post(MODELS, json={"name": name, "path": "fresh"})
    assert refusal(response) == (400, "bad-model-name", "name")


@pytest.mark.parametrize(
    "path",
    [
        *("/etc", "..", "../root/fresh", "fresh/../../root/fresh", "out", "inner", "export"),
        *("exports", "none", "file", "a\0b", "x" * 300, "x/" * 5000, "loop", "loop/model"),
    ],
)
def test_a_path_may_not_leave_the_root(client: Client, shop: Shop, tmp_path: Path, path: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.safetensors").write_bytes(b"secret")
    (shop.root / "out").symlink_to(tmp_path / "elsewhere")
    (shop.root / "inner" / "model").mkdir(parents=True)
    (shop.root / "inner" / "model" / "model.safetensors").symlink_to("../../../elsewhere/model.safetensors")
    (shop.root / "export" / "exports" / "onnx").mkdir(parents=True)
    (shop.root / "export" / "exports" / "onnx" / "model.onnx").symlink_to(tmp_path / "elsewhere")
    (shop.root / "exports" / "exports").mkdir(parents=True)
    (shop.root / "exports" / "exports" / "onnx").symlink_to(tmp_path / "elsewhere")
    (shop.root / "file").write_bytes(b"")
    (shop.root / "loop").symlink_to("loop")
    response = client.post(MODELS, json={"name": "v2", "path": path})
    assert refusal(response) == (400, "bad-model-path", "path")
    assert str(tmp_path) not in response.text
    assert not shop.loading.is_set()


def test_a_link_within_the_root_is_followed(client: Client, shop: Shop) -> None:
    (shop.root / "latest").symlink_to("fresh")
    assert client.post(MODELS, json={"name": "v2", "path": "latest"}).status_code == 201


def test_a_name_that_is_taken_is_refused(client: Client, shop: Shop) -> None:
    response = client.post(MODELS, json={"name": "news", "path": "fresh"})
    assert refusal(response) == (409, "model-taken", "name")
    assert not shop.loading.is_set()


def test_what_is_not_there_can_be_neither_replaced_nor_taken_away(client: Client) -> None:
    put = client.request("PUT", f"{MODELS}/v2", json={"path": "fresh"})
    assert refusal(put)[:2] == (404, "no-such-model")
    assert refusal(client.request("DELETE", f"{MODELS}/v2"))[:2] == (404, "no-such-model")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"path": "fresh"}, "missing-field", "name"),
        ({"name": "v2"}, "missing-field", "path"),
        ({"name": "v2", "path": 3}, "bad-field", "path"),
        ({"name": "v2", "path": "fresh", "url": "x"}, "unknown-field", "url"),
    ],
)
def test_a_bad_body_is_told(client: Client, body: object, code: str, param: str) -> None:
    assert refusal(client.post(MODELS, json=body)) == (400, code, param)


def damaged(root: Path) -> Exception:
    problem = Problem("bundle-damaged", "a file of the bundle is missing", str(root / "x"), "copy it again")
    return BundleError(problem)


def test_a_damaged_bundle_is_told_and_nothing_changes(client: Client, shop: Shop) -> None:
    shop.fault = damaged(shop.root)
    for response in (
        client.post(MODELS, json={"name": "v2", "path": "fresh"}),
        client.request("PUT", f"{MODELS}/news", json={"path": "fresh"}),
    ):
        assert refusal(response) == (422, "bad-model", "path")
        assert "a file of the bundle is missing (bundle-damaged)" in response.json()["error"]["message"]
        assert str(shop.root) not in response.text
    assert names(client) == ["news"]
    assert client.classify("sports").json()["model"] == "news"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (MemoryError(), "model-too-large"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "model-too-large"),
        (KeyError("vocab"), "bad-model"),
    ],
)
def test_whatever_loading_raises_is_one_refusal(
    client: Client, shop: Shop, fault: Exception, code: str
) -> None:
    shop.fault = fault
    assert refusal(client.post(MODELS, json={"name": "v2", "path": "fresh"}))[1] == code
    shop.fault = None
    assert client.post(MODELS, json={"name": "v2", "path": "fresh"}).status_code == 201


def test_a_model_that_memory_does_not_hold_is_not_even_opened(client: Client, shop: Shop) -> None:
    os.truncate(shop.root / "fresh" / "model" / "model.safetensors", 1 << 43)
    response = client.post(MODELS, json={"name": "v2", "path": "fresh"})
    assert refusal(response) == (507, "model-too-large", "path")
    assert not shop.loading.is_set()


def test_a_model_that_cannot_answer_is_not_served(client: Client, shop: Shop) -> None:
    class Broken(FakePredictor):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            raise ValueError("broken")

    shop.stock("broken", Broken())
    assert refusal(client.post(MODELS, json={"name": "v2", "path": "broken"}))[:2] == (422, "bad-model")
    assert names(client) == ["news"]


def test_others_answer_while_one_is_loaded(client: Client, shop: Shop) -> None:
    shop.go_on.clear()
    begun = client.start("POST", MODELS, json={"name": "v2", "path": "fresh"})
    assert shop.loading.wait(20)
    assert client.classify("sports").status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert names(client) == ["news"]
    again = client.start("POST", MODELS, json={"name": "v2", "path": "newer"})
    shop.go_on.set()
    # of two who want one name the second is told
    assert begun.result(20).status_code == 201
    assert refusal(again.result(20))[:2] == (409, "model-taken")
    assert client.classify("fresh", model="v2").json()["results"][0]["label"] == "fresh"


def test_a_new_model_takes_the_name_and_the_old_one_ends_what_it_began(
    make_client: MakeClient, shop: Shop, predictor: FakePredictor
) -> None:
    # two at once: the old one is kept at work on purpose
    client = make_client(load=shop.load, model_root=shop.root, models_at_once=2)
    client.classify("sports")
    predictor.go_on.clear()
    old = client.begin("sports")
    until(lambda: client.app.state.context.waiting.taken == 1)
    put = client.request("PUT", f"{MODELS}/news", json={"path": "fresh"})
    assert put.status_code == 200
    assert put.json()["base"] == "fresh"
    assert client.classify("fresh").json()["results"][0]["label"] == "fresh"
    assert not old.done()
    predictor.go_on.set()
    assert old.result(20).json()["results"][0]["label"] == "sports"
    assert names(client) == ["news"]


def test_a_model_is_gone_once_it_has_answered(
    make_client: MakeClient, shop: Shop, predictor: FakePredictor
) -> None:
    client = make_client(load=shop.load, model_root=shop.root)
    client.post(MODELS, json={"name": "v2", "path": "fresh"})
    predictor.go_on.clear()
    old = client.begin("sports")
    until(lambda: client.app.state.context.waiting.taken == 1)
    gone = client.start("DELETE", f"{MODELS}/news")
    until(lambda: names(client) == ["v2"])
    assert refusal(client.classify("sports", model="news"))[:2] == (404, "no-such-model")
    assert not gone.done()
    predictor.go_on.set()
    assert old.result(20).status_code == 200
    assert gone.result(20).status_code == 204


def test_a_server_that_shuts_down_takes_no_model(client: Client) -> None:
    client.app.state.context.drain()
    response = client.post(MODELS, json={"name": "v2", "path": "fresh"})
    assert refusal(response)[:2] == (503, "draining")


def test_a_root_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no-model-root"):
        serve_model("no-such-model", port=0, model_root=tmp_path / "none")
