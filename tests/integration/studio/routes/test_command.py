"""`tunesmith studio` as a process: it makes its directory, keeps what it was given, and ends as it should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from openai import OpenAI

from tests.forked import Forked, nursery
from tests.waiting import until

COMMAND = """
import sys
import threading
import time
from functools import partial
from tunesmith.studio import serving
from tunesmith.cli.main import main
serving.serve_studio = partial(serving.serve_studio, on_listening=lambda url: print(url, flush=True))
sys.argv = ["tunesmith", "studio", *sys.argv[1:], "--port", "0"]
main()
"""


@contextmanager
def running(*words: str) -> Iterator[tuple[str, Forked]]:
    """Its address, once it listens."""
    with nursery().start(["-c", COMMAND, *words], os.environ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def _dumps_no_memory(process: psutil.Process) -> bool:
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    return re.search(r"Max core file size +0 +0 ", limits) is not None


def test_neither_the_server_nor_its_worker_leaves_its_memory_behind(tmp_path: Path) -> None:
    with running(str(tmp_path / "studio")) as (url, process):
        assert url
        server = psutil.Process(process.pid)
        until(lambda: bool(server.children()))
        [worker] = server.children()
        assert _dumps_no_memory(server)
        assert _dumps_no_memory(worker)


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    place = tmp_path / "new" / "studio"
    with running(str(place)) as (url, process):
        with OpenAI(base_url=f"{url}v1", api_key="none") as client:
            file = client.files.create(file=("a.jsonl", b"canary"), purpose="fine-tune")
        assert (place.stat().st_mode & 0o777) == 0o700
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert "POST /v1/files status=200" in said
        assert "canary" not in said
    (place / "studio.yaml").write_text("bases: {mine: embedded}\nworkers: 0\n")
    with running(str(place)) as (url, _), OpenAI(base_url=f"{url}v1", api_key="none") as client:
        assert client.files.content(file.id).read() == b"canary"
        assert [model.id for model in client.models.list()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "config", "code"),
    [
        (["--host", "0.0.0.0"], "{}", "key-needed"),
        ([], "surprise: 1", "unknown-key"),
        ([], "store: mysql://somewhere/db", "bad-store"),
    ],
)
def test_what_keeps_it_from_starting_is_one_clear_error(
    tmp_path: Path, words: list[str], config: str, code: str
) -> None:
    (tmp_path / "studio.yaml").write_text(config + "\n")
    with running(str(tmp_path), *words) as (url, process):
        assert url == ""
        assert process.wait(30) == 1
        assert process.stderr is not None
        said = process.stderr.read()
    assert f"error[{code}]" in said
    assert "Traceback" not in said


def tunesmith(*words: str | Path, cwd: Path) -> str:
    """Run a command to its end; what it said."""
    command = [str(nursery().tunesmith), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_studio_that_is_served_is_backed_up_and_restored(tmp_path: Path) -> None:
    """Files come without a pause meanwhile; whatever was answered before the backup is in it."""
    place, sent = tmp_path / "backup", threading.Event()
    place.mkdir()
    (place / "studio.yaml").write_text("bases: {mine: embedded}\nworkers: 0\nfree_bytes: 0\n")
    kept: list[str] = []

    def send(client: OpenAI) -> None:
        while not sent.is_set():
            name = f"{len(kept)}.jsonl"
            file = client.files.create(file=(name, name.encode() * 999), purpose="fine-tune")
            kept.append(file.id)

    with running(str(place)) as (url, process), OpenAI(base_url=f"{url}v1", api_key="none") as client:
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        try:
            while len(kept) < 5:
                assert sender.is_alive()
                time.sleep(0.01)
            before = list(kept)
            # the first word is the command, and `./backup` a directory
            said = tunesmith("studio", "backup", "./backup", "out", cwd=tmp_path)
        finally:
            sent.set()
            sender.join()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "wrote out: " in said
    assert "0 jobs, 0 models" in said
    assert "0 jobs, 0 models" in tunesmith("studio", "restore", "out", "new", cwd=tmp_path)
    with running(str(tmp_path / "new")) as (url, _), OpenAI(base_url=f"{url}v1", api_key="none") as client:
        there = {file.id: file for file in client.files.list(order="asc")}
        assert list(there)[: len(before)] == before
        assert list(there) == kept[: len(there)]
        for file in there.values():
            assert client.files.content(file.id).read() == file.filename.encode() * 999
        assert [model.id for model in client.models.list()] == ["mine"]
