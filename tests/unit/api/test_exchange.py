"""The log and the metrics know ids, lengths and codes, and nothing of what was said."""

from __future__ import annotations

import logging

import pytest

from tests.unit.api.conftest import CLASSIFY, KEY, Client, MakeClient

CANARY = "canary-7f3a"


def test_no_text_and_no_key_reaches_the_log(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    # the test's own client logs what it sends
    logging.getLogger("httpx").setLevel(logging.WARNING)
    client = make_client(api_key=KEY, max_characters=500)
    right = {"Authorization": f"Bearer {KEY}"}
    said = [
        {"input": f"a text with {CANARY}"},
        {"input": f"explode {CANARY}"},
        {"input": f"nan {CANARY}"},
        {"input": CANARY * 100},
        {"input": [CANARY, ""]},
        {CANARY: CANARY},
    ]
    for body in said:
        client.post(CLASSIFY, json=body, headers=right)
    client.post(CLASSIFY, content=f'{{"{CANARY}'.encode(), headers=right)
    client.get(f"/{CANARY}?q={CANARY}", headers={**right, "User-Agent": CANARY, "Referer": CANARY})
    client.get("/v1/model", headers={"Authorization": f"Bearer {CANARY}"})
    client.request(CANARY, "/v1/model", headers=right)
    metrics = client.get("/metrics", headers=right).text
    written = caplog.text + "".join(capfd.readouterr()) + metrics
    assert "server-fault" in written
    assert "fault=ValueError" in written
    assert CANARY not in written
    assert KEY not in written


def test_a_line_tells_what_a_request_was(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tunesmith.api")
    response = client.classify(["music and sports", "travel"])
    assert response.headers["x-request-id"] in caplog.messages[-1]
    assert "POST /v1/classify status=200 code=- texts=2 characters=22 tokens=4 ms=" in caplog.messages[-1]


def test_metrics_count_what_was_asked(client: Client) -> None:
    client.classify(["music and sports", "travel"])
    client.classify("")
    client.get("/nothing")
    lines = client.get("/metrics").text.splitlines()
    assert 'tunesmith_requests_total{route="/v1/classify",status="200"} 1.0' in lines
    assert 'tunesmith_requests_total{route="/v1/classify",status="400"} 1.0' in lines
    assert 'tunesmith_requests_total{route="other",status="404"} 1.0' in lines
    assert 'tunesmith_rejected_total{code="empty-input"} 1.0' in lines
    assert 'tunesmith_request_seconds_count{route="/v1/classify"} 2.0' in lines
    assert "tunesmith_texts_total 2.0" in lines
    assert "tunesmith_tokens_total 4.0" in lines
    assert "tunesmith_requests_in_flight 1.0" in lines
    assert "tunesmith_ready 1.0" in lines


def test_two_applications_count_apart(make_client: MakeClient) -> None:
    one, other = make_client(), make_client()
    one.classify("music")
    assert "tunesmith_texts_total 1.0" in one.get("/metrics").text
    assert "tunesmith_texts_total 0.0" in other.get("/metrics").text
