"""Two processes under torchrun: the numbers of one, one voice, and an end for all."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Cli, Finished
from tests.forked import nursery
from tunesmith.bundle import open_bundle
from tunesmith.files import sha256_file

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
    # each starts torch four times or more, which a machine with other work does slowly
    pytest.mark.timeout(900),
]

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# what few examples get otherwise: tokens left out, others in every process, and no validation rows
AS_FOR_MANY = (
    "--set",
    "token_dropout=0",
    "--set",
    "target_replication=0",
    "--set",
    "validation_fraction=0.1",
)
LONG = ("--epochs", "6", "--set", "batch_tokens=45", "--set", "early_stopping=0", *AS_FOR_MANY)
TRAIN = ("train", "news.csv", "--base", "base", *LONG)
# the same sums in another order: exact numbers, and no dropout
SAME = (
    "train",
    "news.csv",
    "--base",
    "base",
    "--epochs",
    "2",
    "--set",
    "dropout=0",
    "--set",
    "precision=fp32",
    *AS_FOR_MANY,
)


def _weights(run: Path) -> str:
    return sha256_file(run / "model" / "model.safetensors")


def _curve(run: Path) -> list[tuple[float, float | None]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["train_loss"], row.get("validation_loss")) for row in rows]


def _ended(said: Finished, code: int) -> Finished:
    """Assert that both processes left with this code, as torchrun tells, and said nothing of their inside.

    The second may still be starting when the first has told all and left: then torchrun ends it.
    """
    assert said.code != 0, said
    told = re.findall(r"rank +: (\d).*?exitcode +: (-?\d+)", said.err, re.DOTALL)
    codes = {int(rank): int(left) for rank, left in told}
    assert codes in ({0: code, 1: code}, {0: code, 1: -signal.SIGTERM}), said.err
    assert "[rank" not in said.err, said.err
    return said


def _two(directory: Path) -> Cli:
    forked = nursery()
    return Cli(directory, [str(forked.python), *TORCHRUN, "--no-python", str(forked.tunesmith)])


@pytest.fixture
def two(workshop: Path) -> Cli:
    """The command, started twice."""
    return _two(workshop)


@pytest.fixture(scope="module")
def long_two(workshop: Path) -> Path:
    """A run of two processes that nothing interrupted."""
    _two(workshop)(*TRAIN, "--out", "long-two").good()
    return workshop / "long-two"


@pytest.fixture(scope="module")
def one(workshop: Path) -> Path:
    """A run of one process."""
    Cli(workshop)(*SAME, "--out", "one").good()
    return workshop / "one"


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_learns(two: Cli, one: Path, parallel: str) -> None:
    out = one.with_name(parallel)
    said = two(*SAME, "--set", f"parallel={parallel}", "--out", parallel, "--json").good()
    assert json.loads(said.out)["provenance"]["processes"] == f"2 ({parallel})", "printed once"
    assert said.err.count(f"2 processes, {parallel}: each takes a share of every step\n") == 1
    assert said.err.count("Fine-tuning\n") == 1
    for found, expected in zip(_curve(out), _curve(one), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    about = json.loads((out / "run.json").read_text())
    assert (about["processes"], about["parallel"], about["done"]) == (2, parallel, True)
    assert not list(out.rglob(".*"))
    texts = ["the striker scored a late goal"]
    scores = [open_bundle(run / "model").predictor().predict(texts)[0].scores for run in (one, out)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_ctrl_c_stops_both_at_one_step_and_the_printed_command_goes_on(two: Cli, long_two: Path) -> None:
    running = two.start(*TRAIN, "--out", "stopped-two")
    running.wait_for("epoch 2 ")
    running.send(signal.SIGINT)
    said = running.finish()
    assert said.err.count("stopping after this step") == 1
    assert len(re.findall(r"^stopped after step \d+ of ", said.err, re.MULTILINE)) == 1
    assert "[rank" not in said.err
    assert "  torchrun --nproc-per-node 2 -m tunesmith train --resume " in said.err
    two(*said.resume_command).good()
    assert _weights(long_two.with_name("stopped-two")) == _weights(long_two)


def test_one_is_killed_and_all_go_on_later(workshop: Path, two: Cli, long_two: Path) -> None:
    # what torch itself would say of it is silenced before torch is loaded: no process that has it already
    alone = Cli(workshop, [sys.executable, *TORCHRUN, "-m", "tunesmith"])
    command = (*TRAIN, "--out", "killed-two")
    for rank, resume in ((1, ()), (0, ("--resume",))):
        running = alone.start(*command, *resume)
        running.wait_for("epoch ", times=2)
        _process(running.process.pid, rank).kill()
        said = running.finish()
        assert said.code != 0
        assert "[rank" not in said.err
        assert said.err.count("error[process-lost]") <= 1 - (rank == 0)
    two(*command, "--resume").good()
    assert _weights(workshop / "killed-two") == _weights(long_two)


def _process(torchrun: int, rank: int) -> psutil.Process:
    return next(
        process
        for process in psutil.Process(torchrun).children()
        if process.environ().get("RANK") == str(rank)
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("train", "bad.csv"), "unclosed-quote"),
        (("train", "news.csv", "--base", "base", "--method", "head"), "one-process"),
        (("train", "news.csv", "--set", "epochs=many"), "bad-value"),
        (("predict", "run", "a text"), "one-process"),
    ],
)
def test_a_fault_is_told_once_and_ends_both(two: Cli, words: tuple[str, ...], code: str) -> None:
    (two.directory / "bad.csv").write_text('text,label\na,b\nc,d\n"e,f\n')
    said = _ended(two(*words), 1)
    assert said.err.count(f"error[{code}]") == 1, said.err
    assert not (two.directory / "runs").exists()


def test_a_wrong_command_line_is_told_once(two: Cli) -> None:
    assert _ended(two("train", "--nonsense"), 2).err.count("No such option") == 1
