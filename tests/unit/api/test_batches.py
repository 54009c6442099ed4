"""POST /v1/batches: a file comes, is answered behind all others, and goes."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.api.conftest import KEY, LABELS, Client, FakePredictor, MakeClient, refusal
from tests.unit.api.test_several import SeveralPredictor
from tests.unit.api.test_shelf import Shop
from tests.waiting import until
from tunesmith.api.batches import Batches
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings
from tunesmith.api.spool import check_spool
from tunesmith.errors import ServiceError

BATCHES = "/v1/batches"
CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXTS = [LABELS[number % len(LABELS)] for number in range(150)]


def as_csv(rows: list[list[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def uploaded(client: Client, body: bytes, headers: dict[str, str] = CSV, query: str = "") -> str:
    response = client.post(BATCHES + query, content=body, headers=headers)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def facts(client: Client, batch: str) -> dict[str, Any]:
    response = client.get(f"{BATCHES}/{batch}")
    assert response.status_code == 200
    return dict(response.json())


def ended(client: Client, batch: str) -> dict[str, Any]:
    until(lambda: facts(client, batch)["expires_at"])
    return facts(client, batch)


def result(client: Client, batch: str) -> httpx.Response:
    assert ended(client, batch)["status"] == "done", facts(client, batch)
    response = client.get(f"{BATCHES}/{batch}/result")
    assert response.status_code == 200
    return response


def test_a_csv_comes_back_with_answers_beside_each_row(client: Client) -> None:
    rows = [["text", "note"], *([text, f"a, b\n{number}"] for number, text in enumerate(TEXTS))]
    batch = uploaded(client, as_csv(rows))
    response = result(client, batch)
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == f'attachment; filename="{batch}.csv"'
    found = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert list(found[0]) == ["text", "note", "predicted_label", "probability", "truncated"]
    assert [row["predicted_label"] for row in found] == [row["text"] for row in found] == TEXTS
    assert [row["note"] for row in found] == [note for _, note in rows[1:]]
    told = facts(client, batch)
    assert (told["rows_done"], told["rows_total"], told["problems"]) == (150, 150, [])
    assert told["rows_per_second"] > 0


@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=99999-", "bytes=a-b", "lines=1", "\x00"])
def test_a_result_comes_in_one_piece(client: Client, asked: str) -> None:
    batch = uploaded(client, as_csv([["text"], ["sports"]]))
    whole = result(client, batch)
    assert whole.headers["accept-ranges"] == "none"
    part = client.get(f"{BATCHES}/{batch}/result", headers={"Range": asked})
    assert (part.status_code, part.content) == (200, whole.content)


def test_lines_come_back_as_lines(client: Client) -> None:
    batch = uploaded(client, as_lines([{"text": text, "n": n} for n, text in enumerate(TEXTS)]), NDJSON)
    found = [json.loads(line) for line in result(client, batch).text.splitlines()]
    assert [row["predicted_label"] for row in found] == TEXTS
    assert [row["n"] for row in found] == list(range(150))
    (answer,) = client.classify(TEXTS[0]).json()["results"]
    assert found[0]["probability"] == answer["score"]


def test_several_labels_are_a_list(make_client: MakeClient) -> None:
    client = make_client(SeveralPredictor(), about_kind="multi_label")
    batch = uploaded(client, as_lines([{"text": "sports music"}, {"text": "nothing"}]), NDJSON)
    found = [json.loads(line) for line in result(client, batch).text.splitlines()]
    assert [row["predicted_labels"] for row in found] == [["sports", "music"], []]


def test_formulas_are_defused(client: Client) -> None:
    cells = ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\tx", "\rx", "-5", "plain"]
    batch = uploaded(client, as_csv([["text", "=note"], *(["music", cell] for cell in cells)]))
    found = list(csv.reader(io.StringIO(result(client, batch).text, newline="")))
    assert found[0][1] == "'=note"
    assert [row[1] for row in found[1:]] == [f"'{cell}" for cell in cells[:6]] + cells[6:]


def test_rows_that_cannot_be_read_or_answered_leave_the_others_alone(client: Client) -> None:
    rows = as_lines([{"text": "sports"}, {"text": "explode canary"}, {"text": ["a"]}, {"text": ""}])
    batch = uploaded(client, rows + b"{\n" + as_lines([{"text": "music"}]), NDJSON)
    found = [json.loads(line) for line in result(client, batch).text.splitlines()]
    assert [row["predicted_label"] for row in found] == ["sports", None, None, None, "music"]
    told = facts(client, batch)
    problems = {problem["code"]: problem for problem in told["problems"]}
    assert set(problems) == {"bad-cell", "bad-json", "server-fault"}
    assert {problem["count"] for problem in problems.values()} == {1}
    assert problems["bad-json"]["what"].endswith("line 5")
    assert "canary" not in json.dumps(told)
    assert str(client.app.state.context.batches._spool._place) not in json.dumps(told)
    assert (told["rows_done"], told["rows_total"]) == (5, 5)


@pytest.mark.parametrize(
    ("body", "query", "code"),
    [
        (b"", "", "empty-file"),
        (b"text\n", "", "no-rows"),
        (b"text\na b\n", "?text_column=other", "no-column"),
        (b"text,probability\na b,1\n", "", "column-taken"),
    ],
)
def test_a_file_that_is_none_fails_and_says_why(client: Client, body: bytes, query: str, code: str) -> None:
    batch = uploaded(client, body, query=query)
    told = ended(client, batch)
    assert told["status"] == "failed"
    assert [problem["code"] for problem in told["problems"]] == [code]
    assert "/" not in told["problems"][0]["what"]
    assert refusal(client.get(f"{BATCHES}/{batch}/result"))[:2] == (409, "batch-not-done")


def test_the_column_and_the_model_may_be_named(make_client: MakeClient, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "root")
    shop.stock("fresh")
    client = make_client(load=shop.load, model_root=shop.root)
    client.post("/v1/models", json={"name": "v2", "path": "fresh"})
    body = as_csv([["a", "b"], *(["other", "fresh"] for _ in range(5))])
    batch = uploaded(client, body, query="?model=v2&text_column=b")
    # it keeps the model with which it came
    assert client.request("DELETE", "/v1/models/v2").status_code == 204
    found = list(csv.DictReader(io.StringIO(result(client, batch).text)))
    assert {row["predicted_label"] for row in found} == {"fresh"}
    assert facts(client, batch)["model"] == "v2"
    response = client.post(f"{BATCHES}?model=none", content=b"", headers=CSV)
    assert refusal(response)[:2] == (404, "no-such-model")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not-a-table"),
        ({"Content-Type": "application/json"}, "not-a-table"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "not-a-table"),
        (CSV | {"Content-Encoding": "gzip"}, "encoded-body"),
    ],
)
def test_what_is_no_table_is_refused(client: Client, headers: dict[str, str], code: str) -> None:
    assert refusal(client.post(BATCHES, content=b"text\na", headers=headers)) == (415, code, None)


def spool_of(client: Client) -> Path:
    return Path(client.app.state.context.batches._spool._place)


def test_an_upload_is_bounded_and_leaves_nothing_behind(make_client: MakeClient) -> None:
    client = make_client(max_batch_bytes=1000, max_body_bytes=10)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 99 + b"\n"

    for body in (b"text\n" + b"x" * 1000, chunks()):
        assert refusal(client.post(BATCHES, content=body, headers=CSV))[:2] == (413, "body-too-large")
    assert list(spool_of(client).iterdir()) == []
    uploaded(client, b"text\n" + b"x " * 400)


def test_an_upload_that_stops_is_given_up(make_client: MakeClient) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"text\n"
        await asyncio.sleep(10)

    client = make_client(body_timeout_seconds=0.05)
    assert refusal(client.post(BATCHES, content=slow(), headers=CSV))[:2] == (408, "slow-body")
    assert list(spool_of(client).iterdir()) == []


def test_only_so_many_are_kept(make_client: MakeClient) -> None:
    client = make_client(max_batches=2)
    first = uploaded(client, b"text\nsports fans\n")
    uploaded(client, b"text\nsports fans\n")
    refused = client.post(BATCHES, content=b"text\na\n", headers=CSV)
    assert refusal(refused)[:2] == (429, "too-many-batches")
    assert int(refused.headers["retry-after"]) > 0
    ended(client, first)
    assert client.request("DELETE", f"{BATCHES}/{first}").status_code == 204
    uploaded(client, b"text\nsports fans\n")


def test_a_batch_that_is_forgotten_is_gone(client: Client) -> None:
    batch = uploaded(client, b"text\nsports fans\n")
    ended(client, batch)
    directory = spool_of(client) / batch
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert client.request("DELETE", f"{BATCHES}/{batch}").status_code == 204
    assert not directory.exists()
    for path in (batch, f"{batch}/result"):
        assert refusal(client.get(f"{BATCHES}/{path}"))[:2] == (404, "no-such-batch")


def test_a_batch_at_work_ends_when_it_is_forgotten(client: Client, predictor: FakePredictor) -> None:
    client.classify("warm")
    predictor.go_on.clear()
    batch = uploaded(client, as_csv([["text"], *([text] for text in TEXTS)]))
    until(lambda: facts(client, batch)["status"] == "running")
    waits = uploaded(client, b"text\nsports fans\n")
    assert facts(client, waits)["status"] == "waiting"
    for each in (batch, waits):
        assert client.request("DELETE", f"{BATCHES}/{each}").status_code == 204
        assert refusal(client.get(f"{BATCHES}/{each}"))[:2] == (404, "no-such-batch")
    predictor.go_on.set()
    until(lambda: list(spool_of(client).iterdir()) == [])
    assert sum(map(len, predictor.batches)) < len(TEXTS)
    # and the next one has its turn
    result(client, uploaded(client, b"text\nsports fans\n"))


def test_who_asks_meanwhile_goes_first(client: Client, predictor: FakePredictor) -> None:
    client.classify("warm")
    predictor.go_on.clear()
    batch = uploaded(client, as_csv([["text"], *([text] for text in TEXTS)]))
    until(lambda: predictor.at_work == TEXTS[:16])
    begun = client.begin("sports fans")
    turns = client.app.state.context.models._turns
    until(lambda: turns._waiting.qsize() == 1)
    predictor.go_on.set()
    assert begun.result(20).status_code == 200
    result(client, batch)
    # behind what had begun, and before all that had not
    assert predictor.batches[2:4] == [TEXTS[:16], ["sports fans"]]
    assert max(map(len, predictor.batches)) == 16


OTHER = "another-key-that-nobody-can-guess"


@pytest.mark.parametrize(
    "batch", ["batch_", "batch_" + "0" * 32, "x", "..%2f..", "batch_" + "0" * 31 + "%0a", "BATCH_" + "0" * 32]
)
def test_an_id_that_is_none_is_not_found(client: Client, batch: str) -> None:
    assert client.get(f"{BATCHES}/{batch}").status_code == 404
    assert client.get(f"{BATCHES}/{batch}/result").status_code == 404


def test_a_key_sees_only_its_own_batches(client: Client) -> None:
    # without a key of the server's the header is not checked, but two callers are still two
    mine, other = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER))
    batch = client.post(BATCHES, content=b"text\nsports fans\n", headers=CSV | mine).json()["id"]
    assert client.get(f"{BATCHES}/{batch}", headers=mine).status_code == 200
    for headers in (other, {}):
        for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
            response = client.request(method, f"{BATCHES}/{batch}{path}", headers=headers)
            assert refusal(response)[:2] == (404, "no-such-batch")
    assert client.get(f"{BATCHES}/{batch}", headers=mine).status_code == 200


def test_where_a_key_is_set_it_is_needed(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    for method, path in (("POST", ""), ("GET", "/x"), ("GET", "/x/result"), ("DELETE", "/x")):
        assert refusal(client.request(method, BATCHES + path))[:2] == (401, "wrong-key")


def test_a_server_that_shuts_down_stops_them(client: Client, predictor: FakePredictor) -> None:
    client.classify("warm")
    predictor.go_on.clear()
    batches = [uploaded(client, as_csv([["text"], *([text] for text in TEXTS)])) for _ in range(2)]
    until(lambda: facts(client, batches[0])["status"] == "running")
    client.app.state.context.drain()
    refused = client.post(BATCHES, content=b"text\na\n", headers=CSV)
    assert refusal(refused)[:2] == (503, "draining")
    predictor.go_on.set()
    assert [ended(client, batch)["status"] for batch in batches] == ["stopped", "stopped"]
    assert sum(map(len, predictor.batches)) <= 1 + 1 + 16


def test_without_a_spool_nothing_outlives_the_server(predictor: FakePredictor) -> None:
    batches = Batches(Settings())

    async def scenario() -> Path:
        async with batches.running():
            assert batches._spool is not None
            return batches._spool._place

    assert not asyncio.run(scenario()).exists()


async def none_more() -> AsyncIterator[bytes]:
    yield b"text\nsports fans\n"


async def kept(batches: Batches, served: Any) -> str:
    batch = await batches.add(none_more(), served, owner="me", suffix=".csv", text_column=None)
    return batch.record.id


def test_a_spool_keeps_them_for_the_next_server(client: Client, tmp_path: Path) -> None:
    served = client.app.state.context.models.default
    settings = Settings(spool=tmp_path / "spool")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "other").mkdir()
    (tmp_path / "spool" / ("batch_" + "0" * 32)).mkdir()

    async def first() -> list[str]:
        batches = Batches(settings)
        async with batches.running():
            done = await kept(batches, served)
            while batches.find(done, "me").record.ended is None:
                await asyncio.sleep(0.01)
            batches.stop()
            return [done, await kept(batches, served)]

    async def second(done: str, stopped: str) -> None:
        batches = Batches(settings)
        async with batches.running():
            assert b"sports" in batches.find(done, "me").result.read_bytes()
            assert batches.find(stopped, "me").record.status == "stopped"
            with pytest.raises(Refusal, match="no such batch"):
                batches.find(done, "another")

    done, stopped = asyncio.run(first())
    asyncio.run(second(done, stopped))
    # an upload that was cut off is swept, and what is not ours is left alone
    assert {path.name for path in (tmp_path / "spool").iterdir()} == {done, stopped, "other"}


def test_what_ended_long_ago_is_forgotten(client: Client) -> None:
    served, clock = client.app.state.context.models.default, [1000.0]

    async def scenario() -> None:
        batches = Batches(Settings(batch_keep_seconds=60), now=lambda: clock[0])
        async with batches.running():
            batch = batches.find(await kept(batches, served), "me")
            clock[0] += 100
            # one that has not ended does not expire
            while batches.find(batch.record.id, "me").record.ended is None:
                await asyncio.sleep(0.01)
            assert batch.facts(60).expires_at == "1970-01-01T00:19:20+00:00"
            clock[0] += 59
            batches.find(batch.record.id, "me")
            clock[0] += 2
            with pytest.raises(Refusal, match="expired"):
                batches.find(batch.record.id, "me")
            assert not batch.directory.exists()

    asyncio.run(scenario())


def test_a_spool_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ServiceError, match="bad-spool"):
        check_spool(tmp_path / "file" / "spool")
    check_spool(tmp_path / "new" / "spool")
    assert (tmp_path / "new" / "spool").is_dir()
