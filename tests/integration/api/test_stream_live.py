"""Lines in and lines out through a real port."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.api.conftest import Serve, Slow
from tests.integration.api.test_live import TEXTS
from tests.served import Served
from tests.waiting import until
from tunesmith.api.gate import Gate
from tunesmith.predict import Predictor

HEAD = (
    "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
)


class Stream:
    """One request whose body and answer go at the same time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers: IO[bytes] = connection.makefile("rb")
        connection.sendall(HEAD.encode())
        assert self._head() == 100
        assert self._head() == 200

    def _head(self) -> int:
        status = int(self._answers.readline().split()[1])
        while self._answers.readline().strip():
            pass
        return status

    def close(self) -> None:
        self._answers.close()

    def say(self, lines: Sequence[object]) -> None:
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        self._connection.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    def end(self) -> None:
        self._connection.sendall(b"0\r\n\r\n")

    def answers(self) -> Iterator[dict[str, Any]]:
        while size := int(self._answers.readline(), 16):
            body = self._answers.read(size)
            self._answers.readline()
            yield from map(json.loads, body.splitlines())


@contextmanager
def stream(client: httpx.Client) -> Iterator[Stream]:
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port or 0), timeout=30) as connection:
        sent = Stream(connection)
        yield sent
        sent.close()


def test_a_file_of_lines_is_answered_as_it_is_sent(serve_live: Serve, predictor: Predictor) -> None:
    texts = [f"{TEXTS[number % len(TEXTS)]} {number}" for number in range(1500)]
    rows = [{"input": text, "id": number} for number, text in enumerate(texts)]
    with stream(serve_live(predictor)) as sent, ThreadPoolExecutor(1) as pool:
        answers = pool.submit(list, sent.answers())
        for start in range(0, len(rows), 100):
            sent.say(rows[start : start + 100])
        sent.end()
        found = answers.result()
    assert [answer["id"] for answer in found] == list(range(1500))
    for answer, expected in zip(found, predictor.predict(texts), strict=True):
        assert answer["label"] == expected.target
        assert answer["score"] == pytest.approx(expected.score, abs=1e-5)


def test_a_line_is_answered_before_the_next_is_sent(serve_live: Serve, predictor: Predictor) -> None:
    with stream(serve_live(predictor)) as sent:
        answers = sent.answers()
        for text in TEXTS[:3]:
            sent.say([{"input": text}])
            assert next(answers)["label"] == predictor.predict([text])[0].target
        sent.say([{"input": ""}])
        fault = next(answers)
        assert (fault["line"], fault["error"]["code"]) == (4, "empty-input")
        sent.end()
        assert list(answers) == []


def test_who_hangs_up_in_the_midst_frees_the_model(
    serve_live: Serve, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates: dict[int, Gate] = {}
    monkeypatch.setattr("tunesmith.api.app.Gate", lambda limit: gates.setdefault(limit, Gate(limit)))
    client = serve_live(slow, max_waiting=1)
    with stream(client) as sent:
        sent.say([{"input": "warm"}])
        assert "label" in next(sent.answers())
        slow.go_on.clear()
        sent.say([{"input": "sports"}] * 500)
        until(lambda: gates[1].taken == 1)
    gone = 'tunesmith_requests_total{route="/v1/classify",status="499"} 1.0'
    until(lambda: gone in client.get("/metrics").text)
    read = slow.texts
    slow.go_on.set()
    assert client.post("/v1/classify", json={"input": "sports"}).status_code == 200
    # of the 500 no more than one batch was read
    assert slow.texts - read <= 65


def test_who_takes_no_answers_is_not_read_any_further(serve_live: Serve) -> None:
    class Many(Served):
        """Answers at once, and at length."""

        labels = tuple(f"label {number} {'x' * 200}" for number in range(100))
        max_tokens = 9
        texts = 0

        def predict(self, texts: Sequence[str]) -> list[Any]:
            from tunesmith.predict import Prediction

            self.texts += len(texts)
            return [Prediction(self.labels[0], dict.fromkeys(self.labels, 0.01)) for _ in texts]

    many = Many()
    with stream(serve_live(many)) as sent:
        sent._connection.settimeout(3)
        with pytest.raises(TimeoutError):
            for number in range(5000):
                texts = [f"{number} {row} {'x' * 990}" for row in range(100)]
                sent.say([{"input": text, "top_k": 100} for text in texts])
    # answers of 25 KB each filled what the system holds of a connection
    assert 0 < many.texts < 20_000
