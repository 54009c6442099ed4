"""How much one caller may ask, and that the others do not suffer from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.api.conftest import KEY, Client, FakePredictor, MakeClient, refusal
from tunesmith.api.keys import add_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def ask(client: Client, key: str | None = None, texts: object = "music") -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.post("/v1/classify", json={"input": texts}, headers=headers)


def limited(response: httpx.Response, *, seconds: int = 1) -> bool:
    assert refusal(response) == (429, "rate-limited", None)
    assert response.json()["error"]["type"] == "rate_limit_error"
    return int(response.headers["retry-after"]) >= seconds


def test_requests_are_limited_for_each_key(path: Path, make_client: MakeClient) -> None:
    alice, bob = (add_key(path, name, now=NOW) for name in ("alice", "bob"))
    client = make_client(keys_file=path, requests_per_minute=2)
    assert [ask(client, alice).status_code for _ in range(2)] == [200, 200]
    assert limited(ask(client, alice), seconds=50)
    assert ask(client, bob).status_code == 200
    metrics = client.get("/metrics", headers={"Authorization": f"Bearer {alice}"}).text
    assert 'tunesmith_rejected_total{code="rate-limited"} 1.0' in metrics


def test_texts_are_limited_for_each_key(path: Path, make_client: MakeClient) -> None:
    alice, bob = (add_key(path, name, now=NOW) for name in ("alice", "bob"))
    client = make_client(keys_file=path, texts_per_minute=10)
    assert ask(client, alice, ["music"] * 7).status_code == 200
    assert limited(ask(client, alice, ["music"] * 4), seconds=50)
    assert ask(client, alice, ["music"] * 3).status_code == 200
    assert ask(client, bob, ["music"] * 10).status_code == 200


def test_more_texts_than_any_minute_has_room_for_are_refused_for_good(make_client: MakeClient) -> None:
    client = make_client(texts_per_minute=10)
    response = ask(client, None, ["music"] * 11)
    assert refusal(response) == (400, "too-many-texts", "input")
    assert "10 texts" in response.json()["error"]["message"]
    assert ask(client, None, ["music"] * 10).status_code == 200


def test_a_keys_own_limits_go_before_the_servers(path: Path, make_client: MakeClient) -> None:
    more = add_key(path, "more", now=NOW, requests_per_minute=3)
    every = add_key(path, "every", now=NOW, requests_per_minute=0)
    few = add_key(path, "few", now=NOW, texts_per_minute=1)
    client = make_client(keys_file=path, requests_per_minute=1, api_key=KEY)
    assert [ask(client, more).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert [ask(client, every).status_code for _ in range(4)] == [200] * 4
    assert refusal(ask(client, few, ["music"] * 2))[1] == "too-many-texts"
    assert [ask(client, KEY).status_code for _ in range(2)] == [200, 429]


def test_without_a_key_an_address_is_limited(make_client: MakeClient) -> None:
    client = make_client(requests_per_minute=1)
    assert [ask(client).status_code for _ in range(2)] == [200, 429]
    # pages, probes and metrics are no use of the model
    for place in ("/", "/docs", "/healthz", "/metrics"):
        assert [client.get(place).status_code for _ in range(3)] == [200] * 3
    assert client.get("/v1/model").status_code == 429


def test_what_cannot_be_read_counts_no_texts(make_client: MakeClient) -> None:
    client = make_client(texts_per_minute=2)
    for texts in ([], ["music", ""], 7):
        assert ask(client, None, texts).status_code == 400
    assert ask(client, None, ["music"] * 2).status_code == 200


def test_a_wrong_key_uses_up_nothing(path: Path, make_client: MakeClient) -> None:
    alice = add_key(path, "alice", now=NOW)
    client = make_client(keys_file=path, requests_per_minute=1)
    assert [ask(client, "wrong").status_code for _ in range(3)] == [401] * 3
    assert ask(client, alice).status_code == 200


def begin(client: Client, key: str) -> Any:
    return client.begin("music", headers={"Authorization": f"Bearer {key}"})


def test_one_key_leaves_places_to_others(
    path: Path, make_client: MakeClient, predictor: FakePredictor
) -> None:
    alice, bob = (add_key(path, name, now=NOW) for name in ("alice", "bob"))
    client = make_client(keys_file=path, max_waiting=3, max_waiting_per_key=2)
    assert ask(client, alice).status_code == 200
    predictor.go_on.clear()
    begun = [begin(client, alice) for _ in range(2)]
    client.until_waiting(2)
    assert limited(ask(client, alice))
    other = begin(client, bob)
    client.until_waiting(3)
    predictor.go_on.set()
    assert [request.result().status_code for request in (*begun, other)] == [200] * 3
    # the places are free again
    assert ask(client, alice).status_code == 200


def test_what_the_server_is_too_busy_for_counts_no_texts(
    make_client: MakeClient, predictor: FakePredictor
) -> None:
    client = make_client(max_waiting=1, texts_per_minute=3)
    ask(client)
    predictor.go_on.clear()
    begun = client.begin("music")
    client.until_waiting(1)
    for _ in range(3):
        assert refusal(ask(client))[1] == "busy"
    predictor.go_on.set()
    assert begun.result().status_code == 200
    assert ask(client).status_code == 200
    assert limited(ask(client))
