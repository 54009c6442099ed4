"""Stopped in every stage, by Ctrl-C and by force: nothing is lost, and what goes on ends the same."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import LONG, Cli, Finished, Running, write_table
from tests.waiting import until
from tunesmith.files import sha256_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

TRAIN = ("train", "news.csv", "--base", "base", *LONG)


def _weights(run: Path) -> str:
    return sha256_file(run / "model" / "model.safetensors")


def _stopped(running: Running) -> Finished:
    """Press Ctrl-C until it ends: once is enough but where Python may not be interrupted, as in an import."""
    for _ in range(5):
        running.send(signal.SIGINT)
        try:
            running.process.wait(10)
            break
        except subprocess.TimeoutExpired:
            continue
    said = running.finish()
    assert said.code == 130, said
    assert "Traceback" not in said.err, said.err
    return said


def test_stopped_while_reading(cli: Cli, tmp_path: Path) -> None:
    write_table(tmp_path / "large.csv", rows=250_000)
    running = cli.start("train", "large.csv")
    running.wait_for("Reading the data")
    time.sleep(0.2)
    began = time.monotonic()
    said = _stopped(running)
    assert time.monotonic() - began < 5
    assert "go on with" not in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["large.csv"]


def test_stopped_in_training_and_resumed_as_printed(workshop: Path, long_run: Path, finished: Path) -> None:
    cli, run = Cli(workshop), workshop / "stopped"
    shutil.copytree(finished, run)
    before = _weights(run)
    running = cli.start(*TRAIN, "--out", "stopped", "--overwrite")
    running.wait_for("epoch 3 ")
    running.send(signal.SIGINT)
    said = running.finish()
    assert said.code == 130, said
    assert "stopping after this step" in said.err
    assert "Traceback" not in said.err
    assert _weights(run) == before, "the earlier model stays until the new one stands"
    assert cli("report", "stopped", "--json").good().out
    cli(*said.resume_command).good()
    assert _weights(run) == _weights(long_run)
    assert not (run / "checkpoints").exists()
    for name in ("config.json", "tokenizer.json", "task.yaml", "recipe.yaml"):
        assert sha256_file(run / "model" / name) == sha256_file(long_run / "model" / name)


def test_killed_twice_and_resumed(workshop: Path, long_run: Path) -> None:
    cli = Cli(workshop)
    chance = random.Random()
    command = (*TRAIN, "--out", "killed")
    epochs = [chance.randint(1, 4) for _ in range(2)]
    for kill, count in enumerate(epochs):
        running = cli.start(*command, *(["--resume"] if kill else []))
        running.wait_for("epoch ", times=count)
        time.sleep(chance.random() * 0.3)
        running.send(signal.SIGKILL)
        assert running.finish().code == -signal.SIGKILL
    assert not (workshop / "killed" / "model").exists()
    cli(*command).refused("exists")
    cli(*command, "--resume").good()
    assert _weights(workshop / "killed") == _weights(long_run), f"killed after {epochs} epochs"
    assert not list((workshop / "killed").rglob(".*"))


def test_stopped_while_evaluating_a_new_model(workshop: Path, long_run: Path) -> None:
    cli = Cli(workshop)
    running = cli.start(*TRAIN, "--out", "evaluating")
    running.wait_for("Evaluating")
    said = _stopped(running)
    assert not (workshop / "evaluating" / "model").exists()
    done = cli(*said.resume_command).good()
    assert "epoch" not in done.err, "training was over"
    assert _weights(workshop / "evaluating") == _weights(long_run)


def test_ctrl_c_twice_stops_at_once(workshop: Path) -> None:
    write_table(workshop / "many.csv", rows=13_000)
    running = Cli(workshop).start(
        "train", "many.csv", "--base", "base", "--out", "twice", "--set", "batch_tokens=1000000000"
    )
    running.wait_for("Fine-tuning")
    time.sleep(0.5)
    running.send(signal.SIGINT)
    running.wait_for("stopping after this step")
    running.send(signal.SIGINT)
    said = running.finish()
    assert said.code == 130, said
    assert "Traceback" not in said.err, said.err
    assert "--resume" in said.resume_command
    assert "epoch 1" not in said.err


def test_stopped_while_judging(workshop: Path, finished: Path) -> None:
    write_table(workshop / "test.csv", rows=20_000)
    running = Cli(workshop).start("evaluate", finished, "test.csv", "--html", "report.html")
    running.wait_for("Evaluating")
    assert "nothing that was finished is lost" in _stopped(running).err
    assert not (workshop / "report.html").exists()


def _wait_for_pieces(tmp_path: Path, count: int) -> None:
    pieces = tmp_path / "b.csv.pieces"
    until(lambda: len(list(pieces.glob("0*.parquet"))) >= count, f"piece {count}")


def test_a_table_whose_scoring_was_stopped_goes_on_as_printed(
    cli: Cli, finished: Path, tmp_path: Path
) -> None:
    write_table(tmp_path / "a.csv", rows=13_000)
    (tmp_path / "b.csv").write_text("earlier")
    running = cli.start("predict", finished, "--file", "a.csv", "--out", "b.csv", "--overwrite")
    _wait_for_pieces(tmp_path, 1)
    said = _stopped(running)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "b.csv.pieces"}
    assert (tmp_path / "b.csv").read_text() == "earlier"
    done = cli(*said.resume_command).good()
    assert "wrote 13,000 rows to b.csv" in done.err
    cli("predict", finished, "--file", "a.csv", "--out", "c.csv").good()
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "c.csv"}


def test_a_table_whose_scoring_was_killed_twice(cli: Cli, finished: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", rows=13_000)
    command = ("predict", finished, "--file", "a.csv", "--out", "b.csv")
    for count, resume in enumerate(((), ("--resume",)), 1):
        running = cli.start(*command, *resume)
        _wait_for_pieces(tmp_path, count)
        running.send(signal.SIGKILL)
        assert running.finish().code == -signal.SIGKILL
    assert not (tmp_path / "b.csv").exists()
    cli(*command).refused("exists")
    cli(*command, "--min-confidence", "0.5", "--resume").refused("resume-changed")
    cli(*command, "--resume").good()
    cli("predict", finished, "--file", "a.csv", "--out", "c.csv").good()
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "c.csv"}


def test_pretraining_is_stopped_and_goes_on_as_printed(workshop: Path) -> None:
    chance = random.Random(0)
    words = ["\n\n" if i % 30 == 0 else chance.choice(["goal", "vote", "match", "law"]) for i in range(9000)]
    (workshop / "corpus.txt").write_text(" ".join(words))
    cli = Cli(workshop)
    shape = ("--size", "nano", "--window", "16", "--tokens", "4000", "--batch-tokens", "64")
    running = cli.start("pretrain", "corpus.txt", "--out", "own", *shape)
    running.wait_for("epoch 1 ")
    running.send(signal.SIGINT)
    said = running.finish()
    assert said.code == 130, said
    assert "Traceback" not in said.err
    cli("pretrain", "corpus.txt", "--out", "own", *shape).refused("exists")
    assert "own: use it with --base own" in cli(*said.resume_command).good().err
