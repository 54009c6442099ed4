"""A text and a key go through a whole story, and stand in no log, no metric and no answer to anyone else."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.listening import listening
from tests.studio import Studio, chat_line, classes
from tunesmith.api.exchange import LOGGER
from tunesmith.api.keys import add_key
from tunesmith.api.logs import LogFormat, log_handler
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.types import ENDED

CANARY = "canary"
SAID: list[Any] = [{"role": "user", "content": f"what does the {CANARY} sing"}]
FORMATS: tuple[LogFormat, ...] = ("text", "json")


@contextmanager
def logged() -> Iterator[dict[LogFormat, StringIO]]:
    """All that the server logs while the block runs, in each form; of other libraries more than it would."""
    streams: dict[LogFormat, StringIO] = {each: StringIO() for each in FORMATS}
    handlers = [log_handler(each, stream) for each, stream in streams.items()]
    loggers = [LOGGER, *map(logging.getLogger, ("uvicorn.error", "asyncio", "tunesmith"))]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        for handler in handlers:
            logger.addHandler(handler)
    try:
        yield streams
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
            for handler in handlers:
                logger.removeHandler(handler)


@pytest.fixture
def story(studio: Studio, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a studio whose worker is a process, and a key."""
    keys = tmp_path / "keys.json"
    key = add_key(keys, "desk", now=datetime.now(UTC))
    app = create_studio(studio.store, studio.place.blobs, studio.config, Settings(keys_file=keys))
    worker = studio.process()
    with listening(app) as url:
        yield url, key
    worker.terminate()
    worker.join()


def test_a_text_and_a_key_stand_nowhere_but_where_they_belong(
    studio: Studio, story: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    url, key = story
    with logged() as logs:
        refusals = _hostile(url, key)
        model = _trained(studio, url, key)
        with _client(url, key) as client:
            for stream in (False, True):
                answer = client.chat.completions.create(model=model, messages=SAID, stream=stream)
                list(answer)  # read to its end
            client.completions.create(model="tiny", prompt=CANARY, max_tokens=2, user=CANARY, stop=[CANARY])
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
            labels = http.post("/v1/classify", json={"model": model, "input": CANARY})
            assert labels.status_code == 200, labels.text
            metrics = http.get("/metrics").text
    said: dict[str, str] = {each: stream.getvalue() for each, stream in logs.items()}
    said |= {"the worker's log": (studio.directory / "worker.log").read_text(), "metrics": metrics}
    said |= {"refusals": refusals, "standard output": "".join(capfd.readouterr())}
    assert said["text"].count("\n") == said["json"].count("\n") > 20
    assert "begins" in said["the worker's log"]
    assert "tunesmith_requests_total" in metrics
    for where, text in said.items():
        assert CANARY not in text, (where, _around(text, CANARY))
        assert key not in text, (where, _around(text, key))
    # what a worker needs of a file is gone with the job, and so is what a crash would have left
    left = [path for path in (studio.directory / "work").rglob("*") if path.is_file()]
    assert [path for path in left if CANARY.encode() in path.read_bytes()] == []
    assert key.encode() not in b"".join(path.read_bytes() for path in studio.directory.glob("studio.db*"))


def _around(text: str, found: str) -> str:
    at = text.find(found)
    return text[max(0, at - 200) : at + 200]


def _client(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def _trained(studio: Studio, url: str, key: str) -> str:
    """The model of a job that succeeds, after one that fails."""
    asked = [[message["content"] for message in row["messages"]] for row in classes(24)]
    rows = [chat_line(f"{CANARY} {question}", answer) for question, answer in asked]
    bad = [*rows[:11], {"messages": [{"role": CANARY, "content": CANARY}]}, CANARY]
    jobs = []
    with _client(url, key) as client:
        for lines in (bad, rows):
            content = "".join(json.dumps(line) + "\n" for line in lines).encode()
            file = client.files.create(file=(f"{CANARY}.jsonl", content), purpose="fine-tune")
            jobs.append(
                client.fine_tuning.jobs.create(
                    model="tiny",
                    training_file=file.id,
                    metadata={CANARY: CANARY},
                    hyperparameters={"n_epochs": 1, "batch_size": 8},
                )
            )
        studio.wait(lambda: all(client.fine_tuning.jobs.retrieve(job.id).status in ENDED for job in jobs))
        failed, done = (client.fine_tuning.jobs.retrieve(job.id) for job in jobs)
    assert (failed.status, done.status) == ("failed", "succeeded"), done.error
    assert done.fine_tuned_model is not None
    return done.fine_tuned_model


def _hostile(url: str, key: str) -> str:
    """What is told to those who send what cannot be taken, and to those who are not let in."""
    said = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
        chat, jobs = "/v1/chat/completions", "/v1/fine_tuning/jobs"
        bodies: list[tuple[str, Any]] = [
            (chat, f'{{"model": "{CANARY}'),
            (chat, f'"{CANARY}"'),
            (chat, {"model": CANARY, "messages": SAID}),
            (chat, {"model": "tiny", "messages": SAID * 2000}),
            (chat, {"model": "tiny", "messages": [{"role": CANARY, "content": CANARY}]}),
            (chat, {"model": "tiny", "messages": SAID, "stop": [CANARY] * 9, "n": CANARY}),
            (chat, {"model": "tiny", "messages": SAID, "user": CANARY * 999}),
            ("/v1/completions", {"model": "tiny", "prompt": f"{CANARY} " * 999}),
            ("/v1/completions", {"model": "tiny", "prompt": [CANARY, 1]}),
            ("/v1/classify", {"model": "tiny", "input": CANARY}),
            (jobs, {"model": CANARY, "training_file": CANARY}),
            (jobs, {"model": "tiny", "training_file": CANARY, "suffix": f"{CANARY} !", "seed": CANARY}),
            (jobs, {"model": "tiny", "training_file": "x", "metadata": {"a": CANARY * 999}}),
            ("/v1/uploads", {"bytes": 1, "filename": CANARY, "mime_type": CANARY, "purpose": CANARY}),
            (f"/v1/files/{CANARY}", {}),
            (f"/v1/{CANARY}?{CANARY}={key}", {}),
        ]
        for path, body in bodies:
            content = body if isinstance(body, str) else json.dumps(body)
            headers = {"Content-Type": "application/json", "X-Request-Id": key, "User-Agent": CANARY}
            said.append(http.post(path, content=content, headers=headers))
        said += [http.get(f"/v1/models/{CANARY}"), http.get("/v1/files", params={"order": CANARY})]
        said += [http.post("/v1/files", headers={"Origin": f"https://{CANARY}"})]
        said += [http.get("/v1/files", headers={"Authorization": f"Bearer {CANARY}{key}"})]
        said += [http.request(CANARY.upper(), "/v1/files")]
    assert {answer.status_code for answer in said} <= {400, 401, 403, 404, 405, 413, 415}
    assert len(said) == 21
    return "".join(answer.text + str(answer.headers) for answer in said)
