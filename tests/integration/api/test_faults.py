"""What goes wrong around a server: callers vanish, files vanish, memory ends, and so does the server."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.ending import Ends, ask_while
from tests.integration.api.conftest import Serve, Slow, WriteModel
from tests.integration.api.test_live import classify
from tests.integration.api.test_process import BUNDLE, SLEEPY, Start, ended, start
from tests.served import Served
from tests.waiting import until
from tunesmith.predict import Prediction, Predictor

__all__ = ["start"]

GONE = 1000
ENDS = 3


def test_a_thousand_callers_who_hang_up_leave_nothing_behind(serve_live: Serve, slow: Slow) -> None:
    client = serve_live(slow, max_waiting=64)
    classify(client, "warm")
    slow.go_on.clear()
    body = json.dumps({"input": ["sports", "politics"]}).encode()
    head = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    head += f"\r\nContent-Length: {len(body)}"
    for _ in range(GONE):
        with socket.create_connection(("127.0.0.1", urlsplit(str(client.base_url)).port or 0)) as caller:
            caller.sendall(head.encode() + b"\r\n\r\n" + body)
    until(lambda: "tunesmith_requests_waiting 0.0" in client.get("/metrics").text)
    slow.go_on.set()
    # the last of them may be read only now; a place that one of them kept would keep this out for good
    until(lambda: classify(client, "sports").status_code == 200)
    # its own request for the metrics is the one that has begun
    until(lambda: "tunesmith_requests_in_flight 1.0" in client.get("/metrics").text)


def test_the_files_of_a_model_may_go_while_it_answers(
    start: Start, write_model: WriteModel, tmp_path: Path
) -> None:
    bundle = write_model(tmp_path / "model")
    running = start(BUNDLE, bundle)
    before = running.classify("the striker scored").json()["results"]
    shutil.rmtree(bundle)
    assert running.classify("the striker scored").json()["results"] == before
    assert running.classify("another text").status_code == 200
    running.stop()
    assert ended(running)[0] == 0


class Forgetful(Served):
    """Runs out of memory over one text."""

    labels = ("yes", "no")

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        if any("huge" in text for text in texts):
            raise MemoryError
        return [Prediction("yes", {"yes": 0.9, "no": 0.1}, False, 1) for _ in texts]


def test_a_batch_that_does_not_fit_into_memory_fails_alone(serve_live: Serve) -> None:
    client = serve_live(Forgetful(), max_waiting=64)
    with ThreadPoolExecutor(16) as pool:
        texts = ["huge" if number % 8 == 0 else f"small {number}" for number in range(64)]
        answers = list(pool.map(lambda text: classify(client, text), texts))
    for text, answer in zip(texts, answers, strict=True):
        if text == "huge":
            assert answer.json()["error"]["code"] == "server-fault"
        else:
            assert answer.json()["results"][0]["label"] == "yes"
    assert client.get("/readyz").status_code == 200


def test_a_text_of_a_megabyte_is_cut_and_told(serve_live: Serve, predictor: Predictor) -> None:
    client = serve_live(predictor)
    text = ("the striker scored " * 60_000)[: 1 << 20]
    (result,) = classify(client, text).json()["results"]
    assert result["truncated"]
    assert result["label"] == predictor.predict([text])[0].target


def test_ten_thousand_texts_are_refused_at_once(serve_live: Serve, slow: Slow) -> None:
    client = serve_live(slow)
    classify(client, "warm")
    slow.go_on.clear()
    assert classify(client, ["goal"] * 10_000).json()["error"]["code"] == "too-many-texts"


@pytest.mark.parametrize("number", range(ENDS))
def test_no_request_is_lost_when_the_server_ends(start: Start, number: int) -> None:
    running = start(SLEEPY, 0.0, drain_seconds="0.5")
    running.classify("warm")
    ends = Ends()
    asyncio.run(ask_while(running.client.base_url.port or 0, 4, ends, running.stop))
    assert ended(running)[0] == 0
    assert not ends.lost
    # while it drains, requests are refused and streams told where to go on
    assert min(ends.answered, ends.refused, ends.lines_answered, ends.streams_told) > 0
