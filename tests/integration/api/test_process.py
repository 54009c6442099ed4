"""The server as a process: it opens a bundle, says where it listens, and ends as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.forked import Forked, nursery
from tests.integration.api.conftest import WriteModel
from tunesmith.predict import Predictor

BUNDLE = """
import sys
from tunesmith.api.server import serve_model
serve_model(sys.argv[1], port=0, on_listening=lambda url: print(url, flush=True))
"""

# the command itself says nothing on standard output
COMMAND = """
import sys
from functools import partial
from tunesmith.api import server
from tunesmith.cli.main import main
server.serve_model = partial(server.serve_model, on_listening=lambda url: print(url, flush=True))
sys.argv = ["tunesmith", "serve", *sys.argv[1:], "--port", "0"]
main()
"""

SLEEPY = """
import os, sys, time
from tunesmith.api.app import create_app
from tunesmith.api.server import serve
from tunesmith.api.settings import read_settings
from tunesmith.predict import Prediction
from tests.served import Served

class Sleepy(Served):
    labels, max_tokens = ("yes", "no"), 9
    def predict(self, texts):
        time.sleep(float(sys.argv[1]) if texts[0] == "sleep" else 0)
        return [Prediction("yes", {"yes": 0.8, "no": 0.2}, False, 1) for _ in texts]

app = create_app(Sleepy(), read_settings(os.environ), about={"model": "sleepy"})
serve(app, port=0, on_listening=lambda url: print(url, flush=True))
"""


@dataclass
class Running:
    process: subprocess.Popen[str] | Forked
    client: httpx.Client
    log: IO[str]

    def classify(self, text: str) -> httpx.Response:
        return self.client.post("/v1/classify", json={"input": text})

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(sent)


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """A script, its arguments and TUNESMITH_ variables -> a running server."""
    with ExitStack() as stack:

        def begin(script: str, *arguments: object, **variables: str) -> Running:
            environ = {**os.environ, "OMP_NUM_THREADS": "1"}
            environ |= {f"TUNESMITH_{name.upper()}": value for name, value in variables.items()}
            return stack.enter_context(running_process(["-c", script, *map(str, arguments)], environ))

        yield begin


@contextmanager
def running_process(words: list[str], environ: dict[str, str]) -> Iterator[Running]:
    """A server that has said where it listens, in a Python with these words; it is killed in the end."""
    # the log is a file: a pipe that nobody reads would fill, and hold the server up
    with (
        tempfile.TemporaryFile("w+") as log,
        nursery().start(words, environ, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            with httpx.Client(base_url=url, timeout=30) as client:
                yield Running(process, client, log)
        finally:
            process.kill()


def ended(running: Running) -> tuple[int, str]:
    """Exit status and what stood on standard error."""
    status = running.process.wait(timeout=30)
    running.log.seek(0)
    return status, running.log.read()


def test_a_bundle_is_served(
    start: Start, predictor: Predictor, write_model: WriteModel, tmp_path: Path
) -> None:
    write_model(tmp_path / "news" / "model")
    running = start(BUNDLE, tmp_path / "news" / "model")
    facts = running.client.get("/v1/model").json()
    assert facts["model"] == "news"
    assert facts["labels"] == list(predictor.labels)
    assert facts["macro_f1"] == {"value": 0.9, "low": 0.8, "high": 1.0}
    assert facts["parameters"] == predictor.classifier.parameters
    (result,) = running.classify("the senate heard the bill").json()["results"]
    (expected,) = predictor.predict(["the senate heard the bill"])
    assert result["label"] == expected.target
    assert result["score"] == pytest.approx(expected.score, abs=1e-5)
    running.stop()
    status, errors = ended(running)
    assert status == 0
    assert "POST /v1/classify status=200" in errors
    assert "senate" not in errors


def test_the_command_serves_several_under_their_names(
    start: Start, predictor: Predictor, write_model: WriteModel, tmp_path: Path
) -> None:
    write_model(tmp_path / "news" / "model")
    write_model(tmp_path / "other" / "model", Predictor(predictor.classifier, 8))
    running = start(COMMAND, tmp_path / "news" / "model", f"--model=v2={tmp_path / 'other' / 'model'}")
    listed = running.client.get("/v1/models").json()
    assert [facts["model"] for facts in listed["models"]] == ["news", "v2"]
    text = "the senate heard the bill " * 19
    for name, max_tokens in (("news", predictor.max_tokens), ("v2", 8)):
        answer = running.client.post("/v1/classify", json={"input": text, "model": name}).json()
        (expected,) = Predictor(predictor.classifier, max_tokens).predict([text])
        assert (answer["model"], answer["usage"]["tokens"]) == (name, max_tokens)
        assert answer["results"][0]["score"] == pytest.approx(expected.score, abs=1e-5)
    running.stop()
    assert ended(running)[0] == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_answered_before_the_end(start: Start, sent: signal.Signals) -> None:
    running = start(SLEEPY, 1.0)
    running.classify("warm")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(running.classify, "sleep")
        time.sleep(0.3)
        running.stop(sent)
        assert begun.result().json()["results"][0]["label"] == "yes"
    status, errors = ended(running)
    assert status == 0
    assert "Traceback" not in errors


def test_it_answers_as_not_ready_while_it_drains(start: Start) -> None:
    running = start(SLEEPY, 1.0, drain_seconds="2")
    running.classify("warm")
    assert running.client.get("/readyz").status_code == 200
    running.stop()
    time.sleep(0.5)
    assert running.client.get("/readyz").json() == {"status": "draining"}
    assert running.client.get("/healthz").status_code == 200
    refused = running.classify("too late")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "draining"
    assert ended(running)[0] == 0


def test_past_its_deadline_a_request_is_told_so(start: Start) -> None:
    running = start(SLEEPY, 3.0, shutdown_seconds="1")
    running.classify("warm")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(running.classify, "sleep")
        time.sleep(0.3)
        running.stop()
        response = begun.result()
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "draining"
    assert ended(running)[0] == 0


def test_a_second_signal_does_not_wait(start: Start) -> None:
    running = start(SLEEPY, 0.1, drain_seconds="60")
    running.classify("warm")
    running.stop()
    time.sleep(0.3)
    running.stop()
    assert ended(running)[0] == 0
