"""Every bad request is told in one shape, with its own code, and without a word of the text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.api.conftest import CLASSIFY, Client, FakePredictor, MakeClient, refusal
from tunesmith.api.refusal import STATUS, Refusal

JSON = {"Content-Type": "application/json"}

BAD_BODIES = {
    b"": ("bad-body", None),
    b"{": ("bad-body", None),
    b"null": ("bad-body", None),
    b'["a text"]': ("bad-body", None),
    b'\xff{"input": "a"}': ("bad-body", None),
    b'\xef\xbb\xbf{"input": "a"}': ("bad-body", None),
    '{"input": "a"}'.encode("utf-16"): ("bad-body", None),
    b'{"input": NaN}': ("bad-body", None),
    b'{"input": -Infinity}': ("bad-body", None),
    b'{"input": "a", "input": "b"}': ("bad-body", None),
    b'{"input": "a", "x": {"y": 1, "y": 2}}': ("bad-body", None),
    b'{"input": ' + b"[" * 100_000: ("bad-body", None),
    b'{"input": ' + b"9" * 10_000 + b"}": ("bad-body", None),
    b'{"input": "\\ud800"}': ("bad-body", "input"),
    b'{"input": ["a", "b\\udfff"]}': ("bad-body", "input[1]"),
    b"{}": ("missing-field", "input"),
    b'{"top_k": 1}': ("missing-field", "input"),
    b'{"input": 1}': ("bad-field", "input"),
    b'{"input": null}': ("bad-field", "input"),
    b'{"input": {"text": "a"}}': ("bad-field", "input"),
    b'{"input": ["a", 1]}': ("bad-field", "input[1]"),
    b'{"input": [["a"]]}': ("bad-field", "input[0]"),
    b'{"input": ""}': ("empty-input", "input"),
    b'{"input": " \\n\\t"}': ("empty-input", "input"),
    b'{"input": []}': ("empty-input", "input"),
    b'{"input": ["a", ""]}': ("empty-input", "input[1]"),
    b'{"input": ["a", "b", "c", "d"]}': ("too-many-texts", "input"),
    b'{"input": "' + b"a" * 21 + b'"}': ("text-too-long", "input"),
    b'{"input": ["a", "' + b"a" * 21 + b'"]}': ("text-too-long", "input[1]"),
    b'{"input": "a", "top_k": 0}': ("bad-top-k", "top_k"),
    b'{"input": "a", "top_k": -1}': ("bad-top-k", "top_k"),
    b'{"input": "a", "top_k": 7}': ("bad-top-k", "top_k"),
    b'{"input": "a", "top_k": 7.0}': ("bad-top-k", "top_k"),
    b'{"input": "a", "top_k": 1e300}': ("bad-top-k", "top_k"),
    b'{"input": "a", "top_k": 1e999}': ("bad-field", "top_k"),
    b'{"input": "a", "top_k": 1.5}': ("bad-field", "top_k"),
    b'{"input": "a", "top_k": "3"}': ("bad-field", "top_k"),
    b'{"input": "a", "top_k": true}': ("bad-field", "top_k"),
    b'{"input": "a", "topk": 3}': ("unknown-field", "topk"),
    b'{"input": "a", "\\ud800": 3}': ("unknown-field", "?"),
}


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
def test_a_bad_body_is_refused_with_its_code(make_client: MakeClient, body: bytes) -> None:
    client = make_client(max_texts=3, max_characters=20)
    response = client.post(CLASSIFY, content=body, headers=JSON)
    assert refusal(response) == (400, *BAD_BODIES[body])
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_the_limits_themselves_are_allowed(make_client: MakeClient) -> None:
    client = make_client(max_texts=3, max_characters=20)
    assert client.classify(["a" * 20, "b\u0000", "🙂" * 20], top_k=6).status_code == 200


def test_a_whole_number_may_be_written_with_a_point(client: Client) -> None:
    response = client.post(CLASSIFY, content=b'{"input": "a", "top_k": 3.0}', headers=JSON)
    assert len(response.json()["results"][0]["scores"]) == 3


def test_whatever_python_takes_for_white_space_is_no_text(client: Client) -> None:
    blank = "".join(chr(code) for code in range(0x110000) if chr(code).isspace())
    assert refusal(client.classify(blank)) == (400, "empty-input", "input")


@pytest.mark.parametrize("text", ["\ufeff", "\u200b", "\x00", "\x1b", "\u180e"])
def test_what_is_no_white_space_is_a_text(client: Client, text: str) -> None:
    assert client.classify(text).status_code == 200


def test_an_unknown_field_is_answered_with_the_nearest(client: Client) -> None:
    assert "did you mean `top_k`?" in client.classify("a", top_n=3).json()["error"]["message"]
    assert "the fields are: input, top_k" in client.classify("a", zzz=3).json()["error"]["message"]


def test_a_message_never_repeats_a_text(make_client: MakeClient) -> None:
    client = make_client(max_characters=20)
    for texts in ("canary " * 9, ["canary", 3], {"canary": "canary"}):
        assert "canary" not in client.classify(texts).text


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["input", "top_k", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_body_is_a_fault_of_the_server(client: Client, body: bytes) -> None:
    response = client.post(CLASSIFY, content=body, headers=JSON)
    assert response.status_code in (200, 400)
    assert response.status_code == 200 or refusal(response)[0] == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not-json"),
        ({"Content-Type": "text/plain"}, "not-json"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "not-json"),
        (JSON | {"Content-Encoding": "gzip"}, "encoded-body"),
        (JSON | {"Content-Encoding": "identity, br"}, "encoded-body"),
    ],
)
def test_what_is_no_plain_json_is_refused(client: Client, headers: dict[str, str], code: str) -> None:
    assert refusal(client.post(CLASSIFY, content=b"{}", headers=headers)) == (415, code, None)


def test_json_may_name_its_charset(client: Client) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "identity"}
    assert client.post(CLASSIFY, content=b'{"input": "a"}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        *(("/v1/models", "GET, POST"), ("/v1/models/x", "DELETE, PUT"), ("/v1/batches/x", "DELETE, GET")),
        *((CLASSIFY, "POST"), ("/", "GET")),
    ],
)
def test_a_wrong_method_is_told_all_that_the_path_has(client: Client, path: str, methods: str) -> None:
    response = client.request("PATCH", path)
    assert response.headers["allow"] == methods
    assert f"answers {methods} only" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no-such-path"),
        ("GET", "/v1/classify/", 404, "no-such-path"),
        ("GET", "/static/../app.py", 404, "no-such-path"),
        ("GET", "/static/%2e%2e%2fapp.py", 404, "no-such-path"),
        ("GET", CLASSIFY, 405, "wrong-method"),
        ("OPTIONS", CLASSIFY, 405, "wrong-method"),
        ("DELETE", "/v1/model", 405, "wrong-method"),
    ],
)
def test_the_framework_refuses_in_our_shape(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    assert refusal(response) == (status, code, None)
    assert ("allow" in response.headers) == (status == 405)


def test_a_fault_of_ours_is_told_without_its_message(client: Client) -> None:
    response = client.classify("explode with a canary")
    assert refusal(response)[:2] == (500, "server-fault")
    assert response.json()["error"]["type"] == "server_error"
    assert "canary" not in response.text
    assert client.classify("sports").status_code == 200


def test_a_body_is_counted_while_it_streams(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=1000)
    body = json.dumps({"input": "a " * 600}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    assert refusal(client.post(CLASSIFY, content=chunks(), headers=JSON))[:2] == (413, "body-too-large")
    assert refusal(client.post(CLASSIFY, content=body, headers=JSON))[:2] == (413, "body-too-large")
    assert client.classify("a " * 400).status_code == 200


def test_an_endless_body_is_cut_off(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=1000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    response = client.post(CLASSIFY, content=endless(), headers=JSON)
    assert refusal(response)[:2] == (413, "body-too-large")
    assert response.headers["connection"] == "close"
    assert sent < 32 << 20


def test_a_body_that_is_declared_endless_is_not_read(client: Client) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = JSON | {"Content-Length": str(1 << 40)}
    assert refusal(client.post(CLASSIFY, content=never(), headers=headers))[:2] == (413, "body-too-large")


def test_a_slow_body_is_given_up(make_client: MakeClient) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"input": '
        await asyncio.sleep(10)

    client = make_client(body_timeout_seconds=0.05)
    response = client.post(CLASSIFY, content=slow(), headers=JSON)
    assert refusal(response)[:2] == (408, "slow-body")
    assert response.headers["connection"] == "close"


def test_past_the_limit_a_request_is_refused_at_once(
    make_client: MakeClient, predictor: FakePredictor
) -> None:
    client = make_client(max_waiting=2)
    client.classify("warm")
    predictor.go_on.clear()
    begun = [client.begin("sports"), client.begin("music")]
    while client.app.state.context.waiting.taken < 2:
        client.get("/healthz")
    refused = client.classify("travel")
    assert refusal(refused)[:2] == (429, "busy")
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert client.get("/metrics").status_code == 200
    predictor.go_on.set()
    labels = [response.result(20).json()["results"][0]["label"] for response in begun]
    assert labels == ["sports", "music"]
    assert client.classify("travel").status_code == 200


def test_bodies_are_read_a_few_at_a_time(make_client: MakeClient) -> None:
    client = make_client(max_uploads=1)
    with client.app.state.context.uploads.permit():
        assert refusal(client.classify("sports"))[:2] == (429, "busy")
    assert client.classify("sports").status_code == 200


def test_a_draining_server_takes_nothing_new(client: Client) -> None:
    client.app.state.context.drain()
    response = client.classify("sports")
    assert refusal(response)[:2] == (503, "draining")
    assert response.headers["retry-after"] == "1"
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json() == {"status": "draining"}
    assert client.get("/healthz").status_code == 200


def test_every_status_has_a_type() -> None:
    types = {STATUS[code]: Refusal(code, "why").type for code in STATUS}
    assert types[400] == types[404] == types[413] == "invalid_request_error"
    assert types[401] == "authentication_error"
    assert types[403] == "permission_error"
    assert types[500] == types[503] == "server_error"
