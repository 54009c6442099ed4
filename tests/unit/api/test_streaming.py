"""POST /v1/classify with lines: answers in order, as they come, and nothing piles up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from tests.unit.api.conftest import CLASSIFY, LABELS, Client, FakePredictor, MakeClient, refusal
from tests.unit.api.test_models import moods
from tests.waiting import until_then
from tunesmith.api.app import create_app
from tunesmith.api.settings import Settings

NDJSON = {"Content-Type": "application/x-ndjson"}


def stream(client: Client, *lines: object, path: str = CLASSIFY) -> list[dict[str, Any]]:
    body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    response = client.post(path, content=body, headers=NDJSON)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_every_line_has_its_answer_in_its_place(client: Client) -> None:
    texts = [LABELS[index % len(LABELS)] for index in range(300)]
    answers = stream(client, *({"input": text, "id": index} for index, text in enumerate(texts)))
    assert [answer["label"] for answer in answers] == texts
    assert [answer["id"] for answer in answers] == list(range(300))


@pytest.mark.parametrize("id_", ["", "\0é", 0, -(2**63), 2**64 - 1, None])
def test_an_id_comes_back_as_it_is(client: Client, id_: str | int | None) -> None:
    (answer,) = stream(client, {"input": "music", "id": id_})
    assert answer["id"] == id_


@pytest.mark.parametrize("id_", [2**64, -(2**63) - 1, 0.5, [], {}])
def test_an_id_that_is_none_is_told(client: Client, id_: object) -> None:
    (answer,) = stream(client, {"input": "music", "id": id_})
    assert (answer["error"]["code"], answer["error"]["param"]) == ("bad-field", "id")


def test_an_answer_is_that_of_a_request(client: Client) -> None:
    (line,) = stream(client, {"input": "music " * 20, "id": "a", "top_k": 2})
    (result,) = client.classify("music " * 20, top_k=2).json()["results"]
    assert line == {**result, "id": "a"}


def test_a_bad_line_is_told_in_its_place(make_client: MakeClient) -> None:
    client = make_client(max_characters=20, max_body_bytes=200)
    answers = stream(
        client,
        {"input": "sports", "id": 1},
        b"{\n",
        b"\n",
        {"input": "explode with a canary", "id": 2},
        {"input": "explode", "id": 2},
        {"input": ["music"]},
        {"input": " "},
        {"text": "music"},
        {"input": "music", "top_k": 7},
        {"input": "x" * 300},
        b'{"input": "caf\xe9"}\n',
        {"input": "travel", "id": True},
        b'{"input": "travel", "id": "last"}',
    )
    assert answers[0]["label"] == "sports"
    assert answers[-1]["label"] == "travel"
    faults = [(answer["line"], answer["error"]["code"], answer["error"]["param"]) for answer in answers[1:-1]]
    assert faults == [
        (2, "bad-body", None),
        (4, "text-too-long", "input"),
        (5, "server-fault", None),
        (6, "bad-field", "input"),
        (7, "empty-input", "input"),
        (8, "unknown-field", "text"),
        (9, "bad-top-k", "top_k"),
        (10, "body-too-large", None),
        (11, "bad-body", None),
        (12, "bad-field", "id"),
    ]
    assert answers[3]["id"] == 2
    assert "canary" not in json.dumps(answers[1:-1])


def test_the_query_names_the_model(make_client: MakeClient) -> None:
    client = make_client(others=[moods()])
    assert stream(client, {"input": "bad"}, path=f"{CLASSIFY}?model=mood")[0]["label"] == "bad"
    response = client.post(f"{CLASSIFY}?model=none", content=b"", headers=NDJSON)
    assert refusal(response)[:2] == (404, "no-such-model")
    assert client.post(f"{CLASSIFY}?model=mood", json={"input": "bad"}).json()["model"] == "mood"


def test_no_lines_no_answers(client: Client) -> None:
    assert stream(client) == stream(client, b"\n\n") == []


def test_compressed_lines_are_refused(client: Client) -> None:
    response = client.post(CLASSIFY, content=b"", headers=NDJSON | {"Content-Encoding": "gzip"})
    assert refusal(response)[:2] == (415, "encoded-body")


def test_what_was_read_is_counted(client: Client) -> None:
    stream(client, {"input": "sports sports"}, {"input": " "}, {"input": "music"})
    metrics = client.get("/metrics").text
    assert "tunesmith_texts_total 2.0" in metrics
    assert "tunesmith_tokens_total 3.0" in metrics


class Line:
    """A connection whose both ends a test holds."""

    def __init__(self, app: FastAPI) -> None:
        self.to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answered = bytearray()
        self.status = 0
        self.read = 0
        self.may_write = asyncio.Event()
        self.may_write.set()
        headers = [(b"host", b"localhost"), (b"content-type", b"application/x-ndjson")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": CLASSIFY,
            "raw_path": CLASSIFY.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": headers,
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
        }
        self.request = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        message = await self.to_server.get()
        self.read += 1
        return message

    async def _send(self, message: Any) -> None:
        await self.may_write.wait()
        self.status = message.get("status", self.status)
        self.answered += message.get("body", b"")

    def say(self, *texts: str, more: bool = True) -> None:
        body = "".join(json.dumps({"input": text}) + "\n" for text in texts).encode()
        self.to_server.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answered.splitlines()]


@asynccontextmanager
async def connected(predictor: FakePredictor, **settings: Any) -> AsyncIterator[tuple[Line, FastAPI]]:
    app = create_app(predictor, Settings(**settings), about={"model": "news"})
    async with app.router.lifespan_context(app):
        line = Line(app)
        yield line, app
        line.to_server.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(line.request, 20)


def run(predictor: FakePredictor, scenario: Callable[..., Awaitable[None]], **settings: Any) -> None:
    async def scene() -> None:
        async with connected(predictor, **settings) as (line, app):
            await scenario(line, app)

    asyncio.run(scene())


def test_a_line_is_answered_before_the_next_comes(predictor: FakePredictor) -> None:
    async def scenario(line: Line, _app: FastAPI) -> None:
        for number, text in enumerate(["music", "sports", "travel"], 1):
            line.say(text)
            await until_then(lambda number=number: len(line.answers()) == number)  # type: ignore[misc]
            assert line.answers()[-1]["label"] == text
        assert not line.request.done()

    run(predictor, scenario)


def test_no_more_is_read_than_is_taken(predictor: FakePredictor) -> None:
    async def scenario(line: Line, _app: FastAPI) -> None:
        line.say("music")
        await until_then(lambda: len(line.answers()) == 1)
        line.may_write.clear()
        for _ in range(100):
            line.say(*["sports"] * 10)
        await until_then(lambda: line.read >= 3)
        await asyncio.sleep(0.3)
        # one chunk is being answered, one waits, one is in the hand of the reader
        assert line.read <= 5
        assert sum(map(len, predictor.batches)) <= 20
        line.may_write.set()
        await until_then(lambda: len(line.answers()) == 1001)

    run(predictor, scenario)


def test_who_hangs_up_frees_everything_at_once(predictor: FakePredictor) -> None:
    async def scenario(line: Line, app: FastAPI) -> None:
        context = app.state.context
        line.say("music")
        await until_then(lambda: len(line.answers()) == 1)
        predictor.go_on.clear()
        line.say(*["sports"] * 200)
        await until_then(lambda: context.waiting.taken == 1)
        line.to_server.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(line.request, 20)
        assert (context.waiting.taken, context.streams.taken) == (0, 0)
        predictor.go_on.set()
        await context.models.default.drain()
        assert sum(map(len, predictor.batches)) <= 1 + 1 + 64

    run(predictor, scenario)


def test_a_stream_waits_where_others_have_all_places(predictor: FakePredictor) -> None:
    async def scenario(line: Line, app: FastAPI) -> None:
        line.say("music")
        await until_then(lambda: len(line.answers()) == 1)
        with app.state.context.waiting.permit():
            line.say("sports")
            await asyncio.sleep(0.1)
            assert len(line.answers()) == 1
        await until_then(lambda: len(line.answers()) == 2)
        assert line.answers()[1]["label"] == "sports"

    run(predictor, scenario, max_waiting=1)


@pytest.mark.parametrize(
    ("settings", "code"), [({}, "draining"), ({"body_timeout_seconds": 0.3}, "slow-body")]
)
def test_a_stream_that_must_end_says_where(
    predictor: FakePredictor, settings: dict[str, float], code: str
) -> None:
    async def scenario(line: Line, app: FastAPI) -> None:
        line.say("music")
        if code == "draining":
            await until_then(lambda: len(line.answers()) == 1)
            app.state.context.drain()
        await until_then(lambda: len(line.answers()) == 2)
        assert line.answers()[0]["label"] == "music"
        assert (line.answers()[1]["line"], line.answers()[1]["error"]["code"]) == (2, code)

    run(predictor, scenario, **settings)


def test_who_takes_no_answers_is_given_up(predictor: FakePredictor) -> None:
    async def scenario(line: Line, app: FastAPI) -> None:
        line.say("music")
        await until_then(lambda: line.status == 200)
        line.may_write.clear()
        line.say("sports")
        await asyncio.wait_for(line.request, 20)
        assert app.state.context.streams.taken == 0

    run(predictor, scenario, body_timeout_seconds=0.3)


def test_only_so_many_streams_are_answered_at_once(make_client: MakeClient) -> None:
    client = make_client(max_streams=1)
    with client.app.state.context.streams.permit():
        response = client.post(CLASSIFY, content=b"", headers=NDJSON)
        assert refusal(response)[:2] == (429, "busy")
        assert client.classify("music").status_code == 200
    assert stream(client, {"input": "music"})[0]["label"] == "music"


def test_lines_count_against_the_texts_of_a_minute(make_client: MakeClient) -> None:
    client = make_client(texts_per_minute=2)
    lines = stream(client, *({"input": label} for label in ("music", "sports", "travel")))
    assert [line.get("label") for line in lines] == ["music", "sports", None]
    assert lines[2]["error"]["code"] == "rate-limited"
