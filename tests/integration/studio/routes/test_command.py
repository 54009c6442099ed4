"""`tunesmith studio` as a process: it makes its directory, keeps what it was given, and ends as it should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from openai import OpenAI

COMMAND = """
import sys
from functools import partial
from tunesmith.studio import serving
from tunesmith.cli.main import main
serving.serve_studio = partial(serving.serve_studio, on_listening=lambda url: print(url, flush=True))
sys.argv = ["tunesmith", "studio", *sys.argv[1:], "--port", "0"]
main()
"""


@contextmanager
def running(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address, once it listens."""
    command = [sys.executable, "-c", COMMAND, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
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
