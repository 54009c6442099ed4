"""A real model behind a real port: the same answers, and a server that stays upright."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.api.conftest import LABELS, Serve, Slow
from tests.models import POLITICS, SPORTS
from tests.waiting import until
from tunesmith.api.gate import Gate
from tunesmith.predict import Predictor

TEXTS = [f"{text} {number}" for number in range(6) for text in SPORTS + POLITICS]


def classify(client: httpx.Client, texts: object) -> httpx.Response:
    return client.post("/v1/classify", json={"input": texts})


def test_answers_are_the_predictors_whatever_comes_together(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor, max_waiting=64)
    expected = predictor.predict(TEXTS)
    assert len({prediction.target for prediction in expected}) > 1
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda text: classify(client, text).json(), TEXTS))
    together = classify(client, TEXTS).json()["results"]
    for prediction, alone, among in zip(expected, answers, together, strict=True):
        (result,) = alone["results"]
        assert result["label"] == among["label"] == prediction.target
        assert {row["label"] for row in result["scores"]} == set(LABELS)
        assert result["score"] == pytest.approx(prediction.score, abs=1e-5)
        assert among["score"] == pytest.approx(prediction.score, abs=1e-5)
        assert alone["usage"]["tokens"] == prediction.tokens


def test_a_long_text_is_cut_as_in_training(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor)
    values = classify(client, ["goal " * 1000, "goal"]).json()
    assert [result["truncated"] for result in values["results"]] == [True, False]
    assert values["usage"]["tokens"] == 48 + predictor.predict(["goal"])[0].tokens


def test_health_is_answered_while_the_model_works(
    serve_live: Serve, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates: dict[int, Gate] = {}
    monkeypatch.setattr("tunesmith.api.app.Gate", lambda limit: gates.setdefault(limit, Gate(limit)))
    client = serve_live(slow, max_waiting=2)
    classify(client, "warm")
    slow.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(classify, client, ["sports"] * 200) for _ in range(2)]
        # both are past the door, which a request that has only begun is not
        until(lambda: gates[2].taken == 2)
        # and the question itself
        until(lambda: "tunesmith_requests_in_flight 3.0" in client.get("/metrics").text)
        assert classify(client, "one too many").status_code == 429
        for path in ("/healthz", "/readyz", "/metrics"):
            started = time.perf_counter()
            assert client.get(path).status_code == 200
            assert time.perf_counter() - started < 1
        slow.go_on.set()
        assert [future.result().status_code for future in begun] == [200, 200]


def test_a_caller_who_hangs_up_frees_the_place(serve_live: Serve, slow: Slow) -> None:
    client = serve_live(slow, max_waiting=1)
    classify(client, "warm")
    slow.go_on.clear()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/classify", json={"input": ["sports"] * 200}, timeout=0.3)
    until(
        lambda: (
            'tunesmith_requests_total{route="/v1/classify",status="499"} 1.0' in client.get("/metrics").text
        )
    )
    read = slow.texts
    slow.go_on.set()
    until(lambda: classify(client, "sports").status_code == 200)
    # of the 200 texts no more than one batch was read
    assert slow.texts - read <= 65


def test_an_endless_upload_is_cut_off(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor, max_body_bytes=1000)

    def body() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    headers = {"Content-Type": "application/json"}
    # the connection ends while the caller still sends: whether it reads the answer is up to it
    with suppress(httpx.TransportError):
        assert client.post("/v1/classify", content=body(), headers=headers).status_code == 413
    assert classify(client, "sports").status_code == 200


def test_a_body_that_is_too_large_is_answered(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor)
    response = classify(client, ["x" * 90_000] * 60)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body-too-large"


def test_bytes_that_are_no_http_leave_the_server_upright(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor)
    address = urlsplit(str(client.base_url))
    for rubbish in (b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/classify HTTP/1.1\r\nHost: "):
        with socket.create_connection((address.hostname, address.port or 0), timeout=5) as connection:
            connection.sendall(rubbish)
    assert classify(client, "sports").status_code == 200


def test_an_upload_that_stops_halfway_is_forgotten(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor)
    address = urlsplit(str(client.base_url))
    head = (
        "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port or 0), timeout=5) as connection:
        connection.sendall(head.encode() + json.dumps({"input": "cut"}).encode())
    until(lambda: 'status="499"} 1.0' in client.get("/metrics").text)
    assert classify(client, "sports").status_code == 200


def test_a_text_is_given_no_label_where_none_is_likely_enough(
    serve_live: Serve, predictor: Predictor
) -> None:
    expected = predictor.predict(TEXTS)
    middle = sorted(prediction.score for prediction in expected)[len(expected) // 2]
    client = serve_live(Predictor(predictor.classifier, predictor.max_tokens).abstaining(middle))
    results = classify(client, TEXTS).json()["results"]
    for prediction, result in zip(expected, results, strict=True):
        given = prediction.score >= middle
        assert result["label"] == (prediction.target if given else None)
        assert result["labels"] == ([prediction.target] if given else [])
        assert result["scores"][0]["score"] == pytest.approx(prediction.score, abs=1e-5)
    assert {result["label"] is None for result in results} == {True, False}
