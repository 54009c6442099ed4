"""Answers last: written whole, read again, taken back, and mended after a crash."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import pytest

from tunesmith.data.read import read
from tunesmith.errors import DataError, StorageError
from tunesmith.labelling.journal import Answer, open_journal

LABELS = ("politics", "sports")
GOAL = Answer("a goal\nin the rain", ("sports",), "texts.csv:2")
BILL = Answer("a bill — \u2028 passed", ("politics",), "texts.csv:3")


def _written(path: Path, *answers: Answer, several: bool = False) -> Path:
    with open_journal(path, LABELS, several=several) as journal:
        for answer in answers:
            journal.add(answer)
    return path


def _read(path: Path, several: bool = False) -> list[Answer]:
    with open_journal(path, LABELS, several=several) as journal:
        return journal.answers


def test_an_answer_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labelled.jsonl"
    with open_journal(path, LABELS, several=False) as journal:
        journal.add(GOAL)
        first = path.read_bytes()
        assert json.loads(first) == {"text": GOAL.text, "label": "sports", "where": GOAL.where}
        journal.add(BILL)
        assert path.read_bytes().startswith(first)
        assert path.read_bytes().count(b"\n") == 2


def test_answers_are_read_again(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL, BILL)
    assert _read(path) == [GOAL, BILL]
    half = Answer("half \ud83d", ("sports",), "")
    assert _read(_written(path, half)) == [GOAL, BILL, half]


def test_what_is_written_can_be_trained_on(tmp_path: Path) -> None:
    found = read(_written(tmp_path / "a.jsonl", GOAL, BILL))
    assert (found.texts, found.targets) == ([GOAL.text, BILL.text], ["sports", "politics"])
    several = [Answer("one", ("politics", "sports"), "x:1"), Answer("two", (), "x:2")]
    found = read(_written(tmp_path / "b.jsonl", *several, several=True))
    assert found.task.kind == "multi_label"
    assert found.target_lists == [["politics", "sports"], []]
    assert _read(tmp_path / "b.jsonl", several=True) == several


@pytest.mark.parametrize("kept", range(1, 30))
def test_a_torn_line_is_taken_off(tmp_path: Path, kept: int) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    with open_journal(path, LABELS, several=False) as journal:
        assert journal.answers == [GOAL]
        assert journal.notes == ["line 2 was not whole, as after a crash, and was taken off"]
        journal.add(BILL)
    assert _read(path) == [GOAL, BILL]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert _read(_written(path, BILL)) == [GOAL, BILL]


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL)
    path.write_bytes(b"\n" + path.read_bytes() + b"\r\n")
    with open_journal(path, LABELS, several=False) as journal:
        assert journal.answers == [GOAL]
        assert journal.undo() == GOAL
    assert path.read_bytes().strip() == b""


def test_the_last_answer_is_taken_back(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL, BILL)
    with open_journal(path, LABELS, several=False) as journal:
        assert journal.undo() == BILL
        assert path.read_bytes().count(b"\n") == 1
        journal.add(BILL)
        assert [journal.undo(), journal.undo(), journal.undo()] == [BILL, GOAL, None]
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": "a", "label": "weather"}', "unknown-label"),
        ('{"text": "a"}', "no-answer-line"),
        ('{"text": 1, "label": "sports"}', "no-answer-line"),
        ('{"text": "a", "labels": ["sports"]}', "no-answer-line"),
        ("text,label", "no-answer-line"),
        ("[]", "no-answer-line"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left(tmp_path: Path, line: str, code: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(DataError) as caught, open_journal(path, LABELS, several=False):
        pass
    assert [(problem.code, problem.where) for problem in caught.value.problems] == [(code, f"{path}:1")]
    assert path.read_text() == f"{line}\n"


def test_two_sessions_do_not_write_one_file(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path / "a.jsonl", LABELS, several=False),
        pytest.raises(StorageError, match="labelling-elsewhere"),
        open_journal(tmp_path / "a.jsonl", LABELS, several=False),
    ):
        pass


def test_an_answer_that_has_no_room_leaves_the_others_whole(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", GOAL)
    whole, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open_journal(path, LABELS, several=False) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, limit[1]))
            with pytest.raises(StorageError, match="disk-full"):
                journal.add(BILL)
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            assert path.read_bytes() == whole
            journal.add(BILL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert _read(path) == [GOAL, BILL]


def test_a_directory_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(StorageError), open_journal(tmp_path, LABELS, several=False):
        pass
    assert list(tmp_path.iterdir()) == []
