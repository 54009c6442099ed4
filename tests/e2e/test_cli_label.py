"""`tunesmith label` at a terminal, whose lines are written before."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.e2e.conftest import TUNESMITH, Cli, Finished, write_table
from tests.forked import environment
from tests.models import POLITICS, SPORTS
from tunesmith.cli.main import app
from tunesmith.labelling.order import doubts
from tunesmith.opening import load

Here = Callable[..., Finished]
ASKED = ("label", "texts.csv", "--labels", "politics,sports", "--out", "labelled.jsonl")


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """The texts of texts.csv."""
    found = [f"{text} in round {number}" for number in range(3) for text in (*SPORTS, *POLITICS)]
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], *enumerate(found)])
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The command in this process: to start another takes seconds."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path, stdin: str = "") -> Finished:
        said = CliRunner().invoke(app, [*map(str, words)], input=stdin)
        assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
        return Finished(said.exit_code, said.stdout, said.stderr)

    return run


def _answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_are_kept_and_gone_on_with(cli: Cli, tmp_path: Path, texts: list[str]) -> None:
    said = cli(*ASKED, stdin="1\nspo\nweather\ns\nu\n2\nq\n").good()
    assert said.out == ""
    assert 'text is read from column "text"' in said.err
    assert "'weather' is no label" in said.err
    assert "3 labelled in labelled.jsonl; 15 are left" in said.err
    first = _answers(tmp_path / "labelled.jsonl")
    assert [answer["label"] for answer in first] == ["politics", "sports", "sports"]
    for answer in first:
        line = int(answer["where"].removeprefix("texts.csv:"))
        assert texts[line - 2] == answer["text"]
    with (tmp_path / "labelled.jsonl").open("a") as stream:
        stream.write('{"text": "the stri')
    said = cli(*ASKED, stdin="1\n" * 14 + "2\n").good()
    assert "line 4 was not whole" in said.err
    assert "18 labelled in labelled.jsonl; all texts are labelled" in said.err
    answers = _answers(tmp_path / "labelled.jsonl")
    assert answers[:3] == first
    assert sorted(answer["text"] for answer in answers) == sorted(texts)
    assert "18 labelled, none left" in cli(*ASKED, stdin="\n").good().err


def test_several_labels(here: Here, tmp_path: Path, texts: list[str]) -> None:
    here(*ASKED, "--multi", stdin="1 2\n0\nsports\nq\n").good()
    labels = [answer["labels"] for answer in _answers(tmp_path / "labelled.jsonl")]
    assert labels == [["politics", "sports"], [], ["sports"]]
    here(*ASKED, stdin="1\n").refused("no-answer-line")


def test_a_model_says_what_it_doubts(here: Here, tmp_path: Path, texts: list[str], finished: Path) -> None:
    here("label", "texts.csv", "--model", finished, "--out", "labelled.jsonl", stdin="1\nq\n").good()
    (answer,) = _answers(tmp_path / "labelled.jsonl")
    predictor = load(finished)
    assert answer["label"] == predictor.labels[0]
    found = doubts(predictor.probabilities(predictor.encode(texts)), several=False)
    assert answer["text"] == texts[int(found.argmax())]


def test_a_text_cannot_steer_the_terminal(here: Here, tmp_path: Path) -> None:
    rows = [{"text": "red \u001b[31m and [bold]bold[/]"}, {"text": "another"}]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = here("label", "texts.jsonl", "--labels", "a,b", "--out", "out.jsonl", stdin="1\n1\n").good()
    assert "\u001b[31m" not in said.err
    assert "[bold]bold[/]" in said.err


def test_ctrl_c_keeps_what_was_answered(cli: Cli, tmp_path: Path, texts: list[str]) -> None:
    process = subprocess.Popen(
        [*TUNESMITH, *ASKED],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"1\n")
    process.stdin.flush()
    said = b""
    while b"1 labelled" not in said:
        said += process.stderr.read1()  # type: ignore[attr-defined]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert b"Traceback" not in process.stderr.read()
    assert len(_answers(tmp_path / "labelled.jsonl")) == 1
    process.stdin.close()
    process.stderr.close()


def test_the_page_is_served_to_who_was_told(cli: Cli, tmp_path: Path, texts: list[str]) -> None:
    running = cli.start(*ASKED, "--page", "--port", "0")
    running.wait_for("open http://127.0.0.1:")
    url, key = running.lines[-1].split()[1].split("#")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        row = client.get("state").json()["row"]
        assert client.post("answer", json={"row": row, "labels": ["sports"]}).json()["labelled"] == 1
    assert httpx.get(f"{url}state").status_code == 401
    running.send(signal.SIGINT)
    said = running.finish().good()
    assert "1 labelled in labelled.jsonl; 17 are left" in said.err
    assert [answer["label"] for answer in _answers(tmp_path / "labelled.jsonl")] == ["sports"]


@pytest.mark.parametrize(
    "words",
    [
        ["label", "texts.csv", "--out", "a.jsonl"],
        ["label", "texts.csv", "--labels", "a", "--out", "a.jsonl"],
        ["label", "texts.csv", "--labels", "a,,b", "--out", "a.jsonl"],
        ["label", "texts.csv", "--labels", "a,b", "--out", "texts.csv"],
        ["label", "texts.csv", "--labels", "a,b"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_told(here: Here, tmp_path: Path, texts: list[str], words: list[str]) -> None:
    said = here(*words)
    assert said.code == 2
    assert "Traceback" not in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["texts.csv"]


def test_what_cannot_be_read_is_told(here: Here, tmp_path: Path) -> None:
    here(*ASKED).refused("no-file")
    write_table(tmp_path / "texts.csv", 4)
    here(*ASKED, "--text-column", "body").refused("no-column")
    assert not (tmp_path / "labelled.jsonl").exists()
