"""Queries of a database: SQLite, which comes with Python."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tunesmith.data.formats.source import open_rows, source_sha256
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import read

from ..conftest import Refused

QUERY = (
    "select body as text, topic as label from news where body like 'a%' and body <> ':name' order by id;\n"
)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "news.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table news (id integer, body text, topic text, score real, raw blob)")
        rows = [
            (1, "a goal", "sports", 1.5, b"x"),
            (2, "a vote", "politics", 2.0, None),
            (3, "b", "c", 0.0, None),
        ]
        connection.executemany("insert into news values (?, ?, ?, ?, ?)", rows)
    connection.close()
    monkeypatch.setenv("TUNESMITH_DSN", f"sqlite:///{path}")
    return path


def query(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "news.sql"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_rows_of_a_query_are_a_data_set(database: Path, tmp_path: Path) -> None:
    path = query(tmp_path, QUERY)
    dataset = read(path)
    assert dataset.texts == ["a goal", "a vote"]
    assert dataset.task.labels == ("politics", "sports")
    assert [row.where for row in dataset] == [f"{path}:1", f"{path}:2"]
    # a database may answer otherwise the next time
    assert source_sha256(path) != source_sha256(path)


def test_cells_of_every_type(database: Path, tmp_path: Path) -> None:
    first, *_ = open_rows(query(tmp_path, "select * from news order by id"), ReadLog())
    assert first.values == {"id": 1, "body": "a goal", "topic": "sports", "score": 1.5, "raw": "x"}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "empty-file", "no query"),
        ("select a from nowhere", "sql-failed", "no such table"),
        ("select 1 as a, 2 as a", "duplicate-column", "a"),
        ("select * from news where id > 9", "no-rows", "not one row"),
        ("delete from news", "sql-failed", "gives no rows"),
    ],
)
def test_what_is_no_query_is_refused(
    database: Path, tmp_path: Path, refused: Refused, text: str, code: str, said: str
) -> None:
    problem = refused(lambda: list(open_rows(query(tmp_path, text), ReadLog())))
    assert problem.code == code
    assert said in problem.what
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from news").fetchone() == (3,)
    connection.close()


def test_no_password_is_ever_shown(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    path = query(tmp_path, QUERY)
    monkeypatch.delenv("TUNESMITH_DSN", raising=False)
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == "no-dsn"
    for dsn in ("nosuch://me:s3cret%21@host/news", "s3cret!://", "sqlite:////s3cret/none.db"):
        monkeypatch.setenv("TUNESMITH_DSN", dsn)
        problem = refused(lambda: list(open_rows(path, ReadLog())))
        assert problem.code == "sql-failed"
        assert "me:s3cret" not in problem.what
