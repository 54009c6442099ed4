"""A session asks each text once, goes on where it stopped, and takes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunesmith.errors import DataError
from tunesmith.labelling.journal import Answer, open_journal
from tunesmith.labelling.session import Session
from tunesmith.labelling.texts import Texts, read_texts

LABELS = ("politics", "sports")
SUBJECTS = ("goal match team coach", "budget senate vote bill")
WORDS = [subject.split() for subject in SUBJECTS]
TEXTS = Texts(
    tuple(f"{WORDS[i % 2][i % 4]} {WORDS[i % 2][i // 4 % 4]} number{i}" for i in range(32)),
    tuple(f"texts.csv:{i + 2}" for i in range(32)),
)


def _label(row: int | None) -> tuple[str, ...]:
    assert row is not None
    return (LABELS[1 - row % 2],)


def _answered(session: Session, count: int) -> list[int]:
    """The rows that were asked about."""
    rows = []
    for _ in range(count):
        row = session.asked.row
        assert row is not None
        assert session.answer(row, _label(row))
        rows.append(row)
    return rows


def test_every_text_is_asked_once(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        session = Session(TEXTS, journal)
        assert sorted(_answered(session, 32)) == list(range(32))
        asked = session.asked
        assert (asked.row, asked.labelled, asked.left) == (None, 32, 0)


def test_a_session_that_goes_on_asks_what_it_would_have_asked(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        whole = _answered(Session(TEXTS, journal, seed=3), 30)
    asked: list[int] = []
    for count in (7, 6, 9, 8):
        with open_journal(tmp_path / "b.jsonl", LABELS, several=False) as journal:
            session = Session(TEXTS, journal, seed=3)
            assert session.asked.labelled == len(asked)
            asked += _answered(session, count)
    assert asked == whole
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_doubts_of_a_model_come_first(tmp_path: Path) -> None:
    doubt = np.full(32, 0.01)
    doubt[[5, 20]] = [1.0, 0.9]
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        assert _answered(Session(TEXTS, journal, doubts=doubt), 2) == [5, 20]


def test_after_ten_answers_what_was_learned_counts(tmp_path: Path) -> None:
    orders = []
    for name, label in (("told", _label), ("one", lambda _: ("sports",))):
        with open_journal(tmp_path / name, LABELS, several=False) as journal:
            session, rows = Session(TEXTS, journal), []
            for _ in range(32):
                row = session.asked.row
                assert row is not None
                rows.append(row)
                session.answer(row, label(row))
            orders.append(rows)
    assert orders[0][:10] == orders[1][:10]
    assert orders[0] != orders[1]


def test_an_answer_is_taken_back_and_asked_again(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        session = Session(TEXTS, journal)
        assert not session.undo()
        rows = _answered(session, 12)
        following = session.asked.row
        assert session.undo()
        assert session.asked.row == rows[-1]
        assert len(journal.answers) == 11
        assert _answered(session, 1) == rows[-1:]
        assert session.asked.row == following


def test_answers_of_an_earlier_session_are_taken_back(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        rows = _answered(Session(TEXTS, journal), 2)
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        session = Session(TEXTS, journal)
        assert session.undo()
        assert session.asked.row == rows[1]


def test_what_is_skipped_comes_back_in_another_session(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        session = Session(TEXTS, journal)
        first = session.asked.row
        assert first is not None
        assert session.skip(first)
        second = session.asked.row
        assert second != first
        assert (session.asked.skipped, session.asked.left) == (1, 31)
        assert session.undo()
        assert (session.asked.row, session.asked.skipped) == (first, 0)
        session.skip(first)
        assert sorted([*_answered(session, 31), first]) == list(range(32))
        assert session.asked.row is None
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        assert Session(TEXTS, journal).asked.row == first


def test_an_answer_to_another_text_is_not_taken(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        session = Session(TEXTS, journal)
        row = session.asked.row
        assert row is not None
        assert session.answer(row, ("sports",))
        assert not session.answer(row, ("politics",))
        assert not session.skip(row)
        assert [answer.labels for answer in journal.answers] == [("sports",)]


def test_answers_to_texts_that_are_gone_are_kept(tmp_path: Path) -> None:
    with open_journal(tmp_path / "a.jsonl", LABELS, several=False) as journal:
        journal.add(Answer("another text", ("sports",), "old.csv:2"))
        session = Session(TEXTS, journal)
        assert (session.strangers, session.asked.labelled, session.asked.left) == (1, 0, 32)
        assert session.undo()
        assert (session.strangers, session.asked.left) == (0, 32)


def test_texts_are_read_once_each(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("id,text\n1,One text here\n2,one  TEXT here\n3,\n4,Another text\n")
    found = read_texts(path)
    assert found.texts == ("One text here", "Another text")
    assert found.where == (f"{path}:2", f"{path}:5")
    assert found.notes[0] == 'text is read from column "text"'
    assert found.notes[1].endswith(": 2")
    assert read_texts(path, "text").notes == found.notes[1:]


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": " "}\n{"text": null}\n')
    with pytest.raises(DataError, match="no row has a text"):
        read_texts(path, "text")
