"""Who hangs up, what fails, whose model it is, and how many there are."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import openai
import pytest

from tests.integration.answering.conftest import CHATTER, CLASSIFIER, Bundles, Live, MakeStudio
from tests.waiting import until

CANARY = "canary-in-the-text"
SAID: Any = [{"role": "user", "content": CANARY}]
# it would be written for long
LONG: dict[str, Any] = {"model": "tiny", "messages": SAID, "logit_bias": {"0": -100}, "max_tokens": 150}


@contextmanager
def streamed(live: Live, **how: Any) -> Iterator[Iterator[str]]:
    """The lines of a stream of the base, as they come."""
    body = {**LONG, "stream": True, **how}
    with live.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as told:
        assert told.status_code == 200
        yield told.iter_lines()


@pytest.fixture(scope="module", autouse=True)
def warm(live: Live) -> None:
    with live.client() as client:
        client.chat.completions.create(**{**LONG, "max_tokens": 1})


def test_who_hangs_up_frees_the_model_at_once(live: Live) -> None:
    scribe, passes, go_on = live.held("base tiny")._scribe, list[int](), threading.Event()

    def look() -> None:
        passes.append(1)
        assert go_on.wait(60)

    with live.watched(look):
        with streamed(live):
            until(lambda: len(passes) == 1)
        until(lambda: live.studio.answering.places.taken == 0)
        go_on.set()
        with live.client() as client:
            client.chat.completions.create(**{**LONG, "max_tokens": 2})
    # of 150 tokens none was written but that of the pass that had begun
    assert len(passes) <= 4
    # the thread gives out the last token before it forgets the row
    until(lambda: (scribe.writing, scribe.waiting) == (0, 0))


def test_a_stream_says_that_it_lives_while_nothing_comes(live: Live) -> None:
    before, live.studio.answering.ping_seconds = live.studio.answering.ping_seconds, 0.01
    try:
        with live.halted() as go_on, streamed(live, max_tokens=2) as lines:
            assert any(line == ": ping" for line in lines)
            go_on.set()
            assert list(lines)[-2:] == ["data: [DONE]", ""]
    finally:
        live.studio.answering.ping_seconds = before


@pytest.mark.parametrize("stream", [False, True])
def test_a_step_that_fails_is_told_and_quotes_nothing(
    live: Live, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    passes: list[int] = []

    def fail() -> None:
        passes.append(1)
        if len(passes) > 3:
            raise ValueError(CANARY)

    with live.watched(fail), live.client() as client, pytest.raises(openai.APIError) as caught:
        told = client.chat.completions.create(**LONG, stream=stream)
        for _ in told:
            pass
    assert caught.value.code == "server-fault"
    assert isinstance(caught.value, openai.InternalServerError) != stream
    records = [logging.Formatter().format(record) for record in caplog.records]
    assert any("fault=ValueError" in record for record in records)
    assert not any(CANARY in record for record in records)
    with live.client() as client:
        assert client.chat.completions.create(**{**LONG, "max_tokens": 1}).choices


def test_texts_stand_in_no_log(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tunesmith")
    with live.http() as http:
        for path, body in (
            ("/v1/chat/completions", {**LONG, "max_tokens": 1}),
            ("/v1/chat/completions", {**LONG, "messages": [{"role": "user", "content": CANARY * 99}]}),
            ("/v1/chat/completions", {**LONG, "messages": [{"role": CANARY, "content": CANARY}]}),
            ("/v1/chat/completions", {"model": CLASSIFIER, "messages": SAID}),
            ("/v1/completions", {"model": "tiny", "prompt": CANARY, "echo": True, "stop": [CANARY]}),
            ("/v1/completions", {"model": CANARY, "prompt": CANARY}),
            ("/v1/classify", {"model": CLASSIFIER, "input": CANARY}),
        ):
            assert http.post(path, json=body).status_code < 500
    assert len(caplog.records) >= 7
    assert CANARY not in "".join(logging.Formatter().format(record) for record in caplog.records)


def test_an_answer_ends_before_its_caller_gives_up(live: Live) -> None:
    with live.halted(), live.http() as http:
        headers = {"x-stainless-read-timeout": "0.2"}
        told = http.post("/v1/chat/completions", json=LONG, headers=headers)
    assert (told.status_code, told.json()["error"]["code"]) == (504, "out-of-time")
    assert told.headers["x-should-retry"] == "false"


def test_a_model_that_is_removed_is_gone_while_it_still_answers(live: Live, bundles: Bundles) -> None:
    name = "ft:tiny:default:gone:4"
    live.keep(name, bundles.chat, "writer")
    key = "models/ft-tiny-default-gone-4"
    with live.client() as client:
        stream = client.chat.completions.create(**{**LONG, "model": name}, stream=True)
        next(stream)
        client.models.delete(name)
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(**{**LONG, "model": name})
        assert caught.value.code == "no-such-model"
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
    until(lambda: key not in live.studio.answering.memory.held)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/classify"])
def test_a_model_of_another_project_is_not_there(apart: Live, path: str) -> None:
    body: dict[str, Any] = {"model": CLASSIFIER}
    body |= {"messages": SAID} if "chat" in path else {"prompt" if "compl" in path else "input": CANARY}
    told = {}
    for project in ("red", "blue"):
        headers = {"Authorization": f"Bearer {apart.keys[project]}"}
        with apart.http() as http:
            told[project] = http.post(path, json=body, headers=headers)
    assert told["red"].status_code == 200, told["red"].text
    assert (told["blue"].status_code, told["blue"].json()["error"]["code"]) == (404, "no-such-model")


@pytest.fixture(scope="module")
def apart(make_studio: MakeStudio, bundles: Bundles) -> Live:
    """Two projects, room for one model and for two requests."""
    live = make_studio({"models_in_memory": 1}, ("red", "blue"), max_waiting=2)
    live.keep(CLASSIFIER, bundles.labels, "classifier", "red")
    live.keep(CHATTER, bundles.chat, "writer", "red")
    return live


def test_one_model_makes_room_for_another(apart: Live) -> None:
    memory = apart.studio.answering.memory
    with apart.client("red") as client:
        for model in (CLASSIFIER, "tiny", CLASSIFIER, CHATTER):
            client.chat.completions.create(model=model, messages=SAID, max_tokens=1)
            assert len(memory.held) == 1
    assert memory.held == [f"models/{CHATTER.replace(':', '-')}"]


def test_more_requests_than_there_are_places_are_refused(apart: Live) -> None:
    with apart.client("red") as client, apart.client("blue") as other:
        client.chat.completions.create(**{**LONG, "max_tokens": 1})
        with apart.halted() as go_on:
            streams = [client.chat.completions.create(**LONG, stream=True) for _ in range(2)]
            with pytest.raises(openai.RateLimitError) as caught:
                other.chat.completions.create(**LONG)
            assert (caught.value.code, caught.value.response.headers["retry-after"]) == ("busy", "1")
            go_on.set()
            for stream in streams:
                stream.close()
    until(lambda: apart.studio.answering.places.taken == 0)


def test_a_model_that_does_not_fit_or_is_damaged_is_refused(live: Live, bundles: Bundles) -> None:
    name = "ft:tiny:default:bad:5"
    live.keep(name, bundles.chat, "writer")
    place = live.studio.blobs.directory("models/ft-tiny-default-bad-5")
    with live.client() as client:
        weights = place / "model.safetensors"
        # a copy of its own: blobs may be links to one file
        held = weights.read_bytes()
        weights.unlink()
        weights.write_bytes(held)
        with weights.open("r+b") as stream:
            stream.truncate(1 << 41)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model=name, messages=SAID)
        assert (caught.value.code, caught.value.param) == ("model-too-large", "model")
        with weights.open("r+b") as stream:
            stream.truncate(len(held) - 1)
        with pytest.raises(openai.UnprocessableEntityError) as damaged:
            client.chat.completions.create(model=name, messages=SAID)
        assert damaged.value.code == "bad-model"
        assert str(place) not in damaged.value.message


def test_what_has_begun_when_the_server_ends_is_told(make_studio: MakeStudio) -> None:
    live = make_studio(shutdown_seconds=1)
    with live.client() as client:
        client.chat.completions.create(**{**LONG, "max_tokens": 1})
    with live.halted() as go_on, streamed(live) as lines:
        next(lines)
        live.drain()
        until(lambda: live.studio.draining)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert rest[-1]["error"]["code"] == "draining"
        with live.http() as http:
            assert http.post("/v1/chat/completions", json=LONG).status_code == 503
        go_on.set()
    until(lambda: live.studio.answering.places.taken == 0)


def test_models_that_write_take_turns_at_the_machine(live: Live, bundles: Bundles) -> None:
    """Each writes what it writes alone, one step at a time of all."""
    at_work, most = [0], [0]

    def enters(*_: object) -> None:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])

    def leaves(*_: object) -> None:
        at_work[0] -= 1

    names = ("tiny", CHATTER)
    how: dict[str, Any] = {**LONG, "temperature": 0, "max_tokens": 40}
    with live.client() as client, ExitStack() as hooks:
        alone = [client.chat.completions.create(**{**how, "model": name}).choices[0] for name in names]
        for key in ("base tiny", f"models/{CHATTER.replace(':', '-')}"):
            model = live.held(key)._scribe._writer.generator.model
            hooks.callback(model.register_forward_pre_hook(enters).remove)
            hooks.callback(model.register_forward_hook(leaves).remove)
        streams = [client.chat.completions.create(**{**how, "model": name}, stream=True) for name in names]
        told = ["".join(chunk.choices[0].delta.content or "" for chunk in stream) for stream in streams]
    assert told == [choice.message.content for choice in alone]
    assert most == [1]


def test_the_reference_has_what_is_answered(live: Live) -> None:
    with live.http() as http:
        paths = http.get("/openapi.json").json()["paths"]
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/classify"):
        told = paths[path]["post"]
        assert "model" in told["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert {"400", "404", "429", "507"} <= told["responses"].keys()
