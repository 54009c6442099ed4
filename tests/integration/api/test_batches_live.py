"""Batches of a real model, and of a server that ends."""

from __future__ import annotations

import csv
import io
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import GOLDEN
from tests.integration.api.conftest import Serve, Slow
from tests.integration.api.test_live import classify
from tests.integration.api.test_process import BUNDLE, SLEEPY, Running, Start, ended, start
from tests.models import POLITICS, SPORTS
from tests.waiting import until
from tunesmith.data.write import open_table
from tunesmith.score import score_file

__all__ = ["start"]

MODEL = GOLDEN / "bundle-v1"
CSV = {"Content-Type": "text/csv"}


def uploaded(client: httpx.Client, body: bytes) -> str:
    response = client.post("/v1/batches", content=body, headers=CSV)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def status(client: httpx.Client, batch: str) -> str:
    return str(client.get(f"/v1/batches/{batch}").json()["status"])


def becomes(client: httpx.Client, batch: str, wanted: str) -> None:
    for _ in range(300):
        if status(client, batch) == wanted:
            return
        time.sleep(0.2)
    raise AssertionError(f"it never was {wanted}, but {status(client, batch)}")


def test_a_batch_is_what_predict_makes_of_the_file(start: Start, tmp_path: Path) -> None:
    rows = [
        {"id": number, "text": f"{text} {number}" if number % 7 else "", "note": "=1+1"}
        for number, text in enumerate((SPORTS + POLITICS) * 50)
    ]
    with open_table(tmp_path / "in.csv", list(rows[0]), guard_formulas=False) as table:
        table.write(rows)
    running = start(BUNDLE, MODEL)
    batch = uploaded(running.client, (tmp_path / "in.csv").read_bytes())
    becomes(running.client, batch, "done")
    result = running.client.get(f"/v1/batches/{batch}/result").content
    score_file(MODEL, tmp_path / "in.csv", tmp_path / "out.csv")
    found, expected = (
        list(csv.DictReader(io.StringIO(content.decode(), newline="")))
        for content in (result, (tmp_path / "out.csv").read_bytes())
    )
    assert len(found) == len(rows)
    for row, other in zip(found, expected, strict=True):
        assert float(row.pop("probability") or 0) == pytest.approx(float(other.pop("probability") or 0))
        assert row == other
    running.stop()
    code, errors = ended(running)
    assert code == 0
    assert SPORTS[0] not in errors


def test_who_asks_waits_for_a_turn_and_not_for_the_file(serve_live: Serve, slow: Slow) -> None:
    client = serve_live(slow)
    batch = uploaded(client, ("text\n" + "the striker scored\n" * 2000).encode())
    until(lambda: client.get(f"/v1/batches/{batch}").json()["rows_done"])
    assert classify(client, "the senate met").status_code == 200
    told = client.get(f"/v1/batches/{batch}").json()
    assert told["status"] == "running"
    assert told["rows_done"] < told["rows_total"] == 2000
    assert client.delete(f"/v1/batches/{batch}").status_code == 204
    assert client.get(f"/v1/batches/{batch}").status_code == 404


def sleepy(start: Start, spool: Path) -> Running:
    return start(SLEEPY, 1.0, spool=str(spool))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_server_knows_what_was_stopped(start: Start, tmp_path: Path, sent: signal.Signals) -> None:
    running = sleepy(start, tmp_path)
    done = uploaded(running.client, b"text,n\nquick one,1\n")
    becomes(running.client, done, "done")
    # each turn of it takes a second
    stopped = uploaded(running.client, b"text\n" + b"sleep\n" * 1000)
    waits = uploaded(running.client, b"text\nquick one\n")
    becomes(running.client, stopped, "running")
    running.stop(sent)
    code, errors = ended(running)
    assert code == (0 if sent == signal.SIGTERM else -signal.SIGKILL)
    assert "Traceback" not in errors
    running = sleepy(start, tmp_path)
    assert status(running.client, stopped) == status(running.client, waits) == "stopped"
    result = running.client.get(f"/v1/batches/{done}/result").text
    assert next(csv.DictReader(io.StringIO(result)))["predicted_label"] == "yes"
    assert running.client.get(f"/v1/batches/{stopped}/result").status_code == 409
    running.stop()
    assert ended(running)[0] == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_file(start: Start) -> None:
    running = start(SLEEPY, 0.0, max_batch_bytes="1000000000")

    def peak() -> float:
        lines = Path(f"/proc/{running.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    peaks = []
    for rows in (10_000, 60_000):
        # most rows have no text, which is quick
        body = "".join(f"{'a text' if row % 20 == 0 else ''},{row:08}{'x' * 800}\n" for row in range(rows))
        batch = uploaded(running.client, b"text,payload\n" + body.encode())
        becomes(running.client, batch, "done")
        assert len(running.client.get(f"/v1/batches/{batch}/result").content) > len(body)
        peaks.append(peak())
    assert peaks[1] - peaks[0] < 24, "MB"
    running.stop()
    assert ended(running)[0] == 0
