"""Who may call, by which name, and from which page."""

from __future__ import annotations

import pytest

from tests.unit.api.conftest import CLASSIFY, KEY, Client, MakeClient, refusal
from tunesmith.api.guard import is_loopback

RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.9:1", "[::1]:8000", "a.localhost"]
)
def test_loopback_names_are_allowed(client: Client, host: str) -> None:
    assert client.get("/v1/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "10.0.0.1", "local host", "localhost/x", "a@b"]
)
def test_other_names_are_refused(client: Client, host: str) -> None:
    for path in ("/v1/model", "/", "/docs"):
        assert refusal(client.get(path, headers={"Host": host})) == (400, "unknown-host", None)


def test_a_probe_may_call_by_any_name(client: Client) -> None:
    assert client.get("/healthz", headers={"Host": "10.1.2.3:80"}).status_code == 200


def test_the_operator_names_the_hosts(make_client: MakeClient) -> None:
    client = make_client(allowed_hosts=("Model.example",))
    assert client.get("/v1/model", headers={"Host": "model.example:443"}).status_code == 200
    assert client.get("/v1/model", headers={"Host": "localhost"}).status_code == 400


def test_with_a_key_any_name_will_do(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    assert client.get("/v1/model", headers=RIGHT | {"Host": "10.0.0.1"}).status_code == 200
    assert client.get("/v1/model", headers=RIGHT | {"Host": "<script>"}).status_code == 400


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "http://localhost:9000", "http://localhost", "localhost:8000"),
        *("http://[", "http://]@localhost:8000", "\x00"),
    ],
)
def test_pages_of_other_sites_may_not_send(client: Client, origin: str) -> None:
    response = client.post(CLASSIFY, json={"input": "a"}, headers={"Origin": origin})
    assert refusal(response) == (403, "foreign-origin", None)
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_our_own_page_may_send(client: Client) -> None:
    headers = {"Origin": "http://localhost:8000"}
    assert client.post(CLASSIFY, json={"input": "a"}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/v1/model", "/metrics", "/anything"])
@pytest.mark.parametrize(
    "header", [None, "", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer ", "Bearer é"]
)
def test_without_the_key_nothing_is_told(make_client: MakeClient, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    response = make_client(api_key=KEY).get(path, headers=headers)
    assert refusal(response) == (401, "wrong-key", None)
    assert response.headers["www-authenticate"] == "Bearer"
    assert KEY not in response.text


def test_with_the_key_all_is_answered(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    assert client.get("/v1/model", headers=RIGHT).status_code == 200
    assert client.get("/v1/model", headers={"Authorization": f"bearer  {KEY}"}).status_code == 200
    assert client.post(CLASSIFY, json={"input": "a"}, headers=RIGHT).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz"])
def test_what_tells_nothing_needs_no_key(make_client: MakeClient, path: str) -> None:
    response = make_client(api_key=KEY).get(path)
    assert response.status_code in (200, 503)
    assert "politics" not in response.text
    assert "news" not in response.text


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/model", "/nothing", "/metrics"])
def test_every_answer_carries_the_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False), ("localhost.org", False)],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
