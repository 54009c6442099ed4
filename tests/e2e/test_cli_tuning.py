"""A search on the command line: stopped, killed, and gone on with."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

OFF = ("warmup_fraction", "weight_decay", "dropout", "class_weights", "batch_tokens", "method")
COMMAND = (
    *("tune", "news.csv", "--base", "base", "--set", "epochs=3", "--set", "rival_seconds=0"),
    *("--pruner", "none", "--search", "learning_rate=1e-4..1e-3"),
    *(word for name in OFF for word in ("--search", f"{name}=off")),
)


def _states(out: Path) -> list[str]:
    with sqlite3.connect(out / "study.db") as connection:
        return [state for (state,) in connection.execute("SELECT state FROM trials ORDER BY number")]


def test_stopped_killed_and_gone_on_with(workshop: Path) -> None:
    cli, command = Cli(workshop), (*COMMAND, "--trials", "2", "--out", "tuned")
    running = cli.start(*command)
    running.wait_for("trial 0: the defaults")
    running.send(signal.SIGINT)
    said = running.finish()
    assert said.code == 130, said
    assert "Traceback" not in said.err
    assert "--resume" not in said.resume_command
    assert said.resume_command == list(command)
    assert _states(workshop / "tuned") == ["FAIL", "WAITING"]

    running = cli.start(*command)
    running.wait_for("trial 1: the defaults")
    running.send(signal.SIGKILL)
    running.finish()
    assert _states(workshop / "tuned") == ["FAIL", "RUNNING"]

    done = cli(*command).good()
    assert "trial 1 was cut off: it is tried again" in done.err
    found = json.loads((workshop / "tuned" / "tuning.json").read_text("utf-8"))
    assert found["done"]
    assert _states(workshop / "tuned") == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial["defaults"] for trial in found["trials"] if trial["state"] == "complete"].count(True) == 1
    assert not list((workshop / "tuned" / "trials").rglob("*.safetensors"))
    assert "The best trials" in done.out
    assert found["comparison"]["headline"] in done.out
    assert "tunesmith predict tuned/best/model" in done.out
