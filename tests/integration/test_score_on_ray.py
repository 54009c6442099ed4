"""Scoring on a Ray cluster comes to the same as scoring here, whoever dies on the way."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import tunesmith as ts
from tests.conftest import GOLDEN
from tests.models import POLITICS, SPORTS
from tunesmith.data.write import open_table
from tunesmith.errors import UserError
from tunesmith.score import Scoring, pieces_beside, score_file
from tunesmith.score.on_ray import OWN_CLUSTER

MODEL = GOLDEN / "bundle-v1"
# Ray Data sets its own settings of these names, and warns of them, when it copies them to a worker
_OF_RAY_ITSELF = ("use_push_based_shuffle", "use_polars", "use_arrow_tensor_v2")
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:`{name}` is deprecated:DeprecationWarning") for name in _OF_RAY_ITSELF
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two workers on this machine."""
    before = dict(os.environ)
    os.environ.update(OWN_CLUSTER)
    if find_spec("ray") is None:
        pytest.skip("needs ray, of the extra `cluster`")
    import ray

    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 << 20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    # of each step it logs pages, and pytest keeps them
    logging.getLogger("ray").setLevel(logging.ERROR)
    yield ray
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def _write(path: Path, rows: int) -> Path:
    with open_table(path, ["n", "text"]) as table:
        table.write([{"n": i, "text": [*SPORTS, *POLITICS, ""][i % 7] + f" {i % 11}"} for i in range(rows)])
    return path


def _workers() -> list[psutil.Process]:
    return [process for process in _processes() if "MapWorker" in " ".join(process.cmdline())]


def _processes() -> Iterator[psutil.Process]:
    """This one and all that it started, without those that have ended."""
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_file_as_here(cluster: Any, tmp_path: Path, suffix: str) -> None:
    source, out, here = (tmp_path / f"{name}.{suffix}" for name in "abc")
    score_file(MODEL, _write(source, 20_000), here)
    heard: list[Scoring] = []
    scored = score_file(MODEL, source, out, on="ray", on_rows=heard.append)
    assert sorted(so_far.rows for so_far in heard)[-1] == scored.rows == 20_000
    assert len(heard) == 5
    assert out.read_bytes() == here.read_bytes()
    assert not pieces_beside(out).exists()


def test_workers_that_are_killed_do_not_change_the_result(cluster: Any, tmp_path: Path) -> None:
    source, out, here = (tmp_path / f"{name}.csv" for name in "abc")
    rows = 20 * 4096
    score_file(MODEL, _write(source, rows), here)
    killed: set[int] = set()
    later: set[int] = set()

    def on_rows(so_far: Scoring) -> None:
        if so_far.rows == 4096:
            for worker in _workers():
                worker.kill()
                killed.add(worker.pid)
        later.update(worker.pid for worker in _workers())

    score_file(MODEL, source, out, on="ray", on_rows=on_rows)
    assert killed
    assert later - killed, "what was not answered yet was answered by others"
    assert out.read_bytes() == here.read_bytes()


@pytest.mark.parametrize(("first", "then"), [("ray", "here"), ("here", "ray")])
def test_what_was_stopped_goes_on_elsewhere(cluster: Any, tmp_path: Path, first: Any, then: Any) -> None:
    source, out, here = (tmp_path / f"{name}.csv" for name in "abc")
    score_file(MODEL, _write(source, 20_000), here)

    def stop(_: Scoring) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        score_file(MODEL, source, out, on=first, on_rows=stop)
    heard: list[Scoring] = []
    score_file(MODEL, source, out, on=then, resume=True, on_rows=heard.append)
    assert len(heard) == 4
    assert out.read_bytes() == here.read_bytes()


def test_a_row_that_cannot_be_read_is_told_as_here(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"text": "good"}\n' * 5000 + "{\n")
    with pytest.raises(UserError) as caught:
        score_file(MODEL, "a.jsonl", "b.jsonl", on="ray")
    (problem,) = caught.value.problems
    assert (type(caught.value).__name__, problem.code, problem.where) == (
        "DataError",
        "bad-json",
        "a.jsonl:5001",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_cluster_of_this_machine_is_heard_on_this_machine_alone(cluster: Any) -> None:
    heard = {
        connection.laddr.ip
        for process in _processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert heard
    assert heard <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ts.UserError, match=r"(?s)cluster-extra.*tunesmith\[cluster\]"):
        score_file(MODEL, _write(tmp_path / "a.csv", 10), tmp_path / "b.csv", on="ray")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
