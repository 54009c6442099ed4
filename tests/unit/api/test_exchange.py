"""The log and the metrics know ids, lengths and codes, and nothing of what was said."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from tests.unit.api.conftest import CLASSIFY, KEY, Client, FakePredictor, MakeClient
from tests.waiting import until
from tunesmith.api.exchange import Exchange
from tunesmith.api.logs import LogFormat, log_handler
from tunesmith.api.metrics import Metrics

CANARY = "canary-7f3a"
FILE = "canary-8d21.csv"


@pytest.fixture
def log() -> Iterator[Callable[[LogFormat], io.StringIO]]:
    """A format -> all that is logged in it from now on, whoever logs it."""
    opened: list[logging.Handler] = []

    def start(log_format: LogFormat) -> io.StringIO:
        stream = io.StringIO()
        opened.append(log_handler(log_format, stream))
        logging.getLogger().addHandler(opened[-1])
        return stream

    yield start
    for handler in opened:
        logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_text_no_key_and_no_file_name_reaches_the_log(
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    log: Callable[[LogFormat], io.StringIO],
    log_format: LogFormat,
) -> None:
    caplog.set_level(logging.DEBUG)
    # the test's own client logs what it sends
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stream = log(log_format)
    client = make_client(api_key=KEY, max_characters=500)
    right = {"Authorization": f"Bearer {KEY}"}
    said = [
        {"input": f"a text with {CANARY}"},
        {"input": f"explode {CANARY}"},
        {"input": f"nan {CANARY}"},
        {"input": CANARY * 100},
        {"input": [CANARY, ""]},
        {"input": FILE, "file": FILE},
        {CANARY: CANARY},
        {KEY: KEY, "input": KEY},
    ]
    for body in said:
        client.post(CLASSIFY, json=body, headers=right)
    client.post(CLASSIFY, content=f'{{"{CANARY}'.encode(), headers=right)
    client.post(CLASSIFY, files={"file": (FILE, CANARY)}, headers=right)
    for word in (CANARY, FILE, KEY):
        placed = dict.fromkeys(("User-Agent", "Referer", "Cookie"), word)
        client.get(f"/{word}?q={word}", headers=right | placed)
        client.get("/v1/model", headers={"Authorization": f"Bearer {word}"})
        client.get("/v1/model", headers={"Authorization": word, "Host": word, "Origin": word})
        placed = {"Content-Disposition": f'attachment; filename="{word}"'}
        client.post(CLASSIFY, content=word, headers=right | placed)
        placed = {"Content-Type": word, "X-Request-Id": f"{word} "}
        client.post(CLASSIFY, content=word, headers=right | placed)
        client.request("POST", f"/static/{word}", headers={"X-Request-Id": KEY})
    client.request(CANARY, "/v1/model", headers=right)
    metrics = client.get("/metrics", headers=right).text
    written = caplog.text + "".join(capfd.readouterr()) + metrics + stream.getvalue()
    assert "server-fault" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert not [word for word in (CANARY, FILE, KEY) if word in written]
    if log_format == "json":
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert {"request", "fault"} <= {line["event"] for line in lines}


def test_json_is_one_object_a_line_with_all_that_is_known(
    make_client: MakeClient, log: Callable[[LogFormat], io.StringIO], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tunesmith.api")
    stream = log("json")
    client = make_client(api_key=KEY)
    headers = {"Authorization": f"Bearer {KEY}", "X-Request-Id": "job-7.a_B"}
    response = client.post(CLASSIFY, json={"input": ["music", "travel"]}, headers=headers)
    assert response.headers["x-request-id"] == "job-7.a_B"
    client.get("/nothing", headers=headers)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert {
        "level": "info",
        "event": "request",
        "request_id": "job-7.a_B",
        "key": "environment",
        "method": "POST",
        "route": CLASSIFY,
        "status": 200,
        "code": None,
        "texts": 2,
        "characters": 11,
        "tokens": 2,
    }.items() <= first.items()
    assert first["milliseconds"] > 0
    assert (second["status"], second["code"], second["route"]) == (404, "no-such-path", "other")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a/b", "ä", "a;b", 'a"b', KEY])
def test_an_id_of_another_form_is_replaced(make_client: MakeClient, given: str) -> None:
    client = make_client(api_key=KEY)
    answer = client.get("/healthz", headers={"X-Request-Id": given.encode("latin-1")})
    assert re.fullmatch(r"req_[0-9a-f]{24}", answer.headers["x-request-id"])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_other_libraries_log_quotes_nothing(log_format: LogFormat) -> None:
    stream = io.StringIO()
    logger = logging.Logger("asyncio")
    logger.addHandler(log_handler(log_format, stream))
    try:
        raise ValueError(CANARY)
    except ValueError:
        logger.exception("Task exception was never retrieved\nfuture: <Task %s>", CANARY)
    (line,) = stream.getvalue().splitlines()
    assert "Task exception was never retrieved fault=ValueError" in line
    assert CANARY not in line


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


def test_stages_tell_where_the_time_went(
    client: Client, log: Callable[[LogFormat], io.StringIO], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tunesmith.api")
    stream = log("json")
    client.classify(["music", "travel"])
    client.get("/healthz")
    lines = client.get("/metrics").text.splitlines()
    stages = ["admit", "read", "tokenize", "queue", "model", "answer", "write"]
    for stage in stages:
        # probes are not among them
        assert f'tunesmith_stage_seconds_count{{stage="{stage}"}} 1.0' in lines
        assert f'tunesmith_stage_seconds_bucket{{le="0.001",stage="{stage}"}}' in "".join(lines)
    logged = json.loads(stream.getvalue().splitlines()[0])
    assert list(logged["stages"]) == stages
    within = sum(logged["stages"][stage] for stage in ("tokenize", "queue", "model"))
    # each is rounded on its own
    assert within <= logged["stages"]["answer"] + 0.01
    assert sum(logged["stages"].values()) - within <= logged["milliseconds"] + 0.01
    assert re.search(r" stages=admit:\d+\.\d,read:", caplog.messages[0])


def test_a_stage_is_noted_by_whoever_knows_it() -> None:
    exchange = Exchange("POST")
    exchange.note("model", 0.5)
    exchange.note("model", 0.25)
    with pytest.raises(ValueError, match="it ends"), exchange.timed("queue"):
        raise ValueError("it ends")
    assert exchange.stages["model"] == 0.75
    assert exchange.stages["queue"] > 0
    metrics = Metrics()
    exchange.texts = 1
    metrics.note(exchange)
    assert 'tunesmith_stage_seconds_sum{stage="model"} 0.75' in metrics.exposition().decode()


def test_batches_and_what_waits_are_counted(make_client: MakeClient, predictor: FakePredictor) -> None:
    client = make_client()
    client.classify("warm up is over")
    before = client.get("/metrics").text
    predictor.go_on.clear()
    begun = [client.begin(["music and sports", "travel"])]
    # else both may be one batch
    until(lambda: predictor.at_work == ["music and sports", "travel"])
    begun.append(client.begin("weather"))
    client.until_waiting(2)
    assert "tunesmith_requests_waiting 2.0" in client.get("/metrics").text
    predictor.go_on.set()
    assert [request.result().status_code for request in begun] == [200, 200]
    after = client.get("/metrics").text
    assert "tunesmith_requests_waiting 0.0" in after
    assert "tunesmith_uploads 0.0" in after
    for name, added in (("texts_sum", 3), ("tokens_sum", 5), ("seconds_count", 2)):
        assert value(after, f"tunesmith_batch_{name}") - value(before, f"tunesmith_batch_{name}") == added


def value(metrics: str, name: str) -> float:
    (line,) = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_what_is_declared_is_what_is_told(client: Client) -> None:
    client.classify("music")
    client.classify("")
    told = client.get("/metrics").text
    for metric in Metrics().declared:
        name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        assert re.search(rf"^# TYPE {name}(_total)? {metric.kind}$", told, re.MULTILINE)


def test_two_applications_count_apart(make_client: MakeClient) -> None:
    one, other = make_client(), make_client()
    one.classify("music")
    assert "tunesmith_texts_total 1.0" in one.get("/metrics").text
    assert "tunesmith_texts_total 0.0" in other.get("/metrics").text
