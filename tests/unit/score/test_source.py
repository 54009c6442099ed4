from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunesmith.data.write import open_table
from tunesmith.score.source import Piece, Span, open_source, pieces_of
from tunesmith.task import Task


def _write(path: Path, texts: Sequence[str]) -> Path:
    with open_table(path, ["text"]) as table:
        table.write([{"text": text} for text in texts])
    return path


def _pieces(path: Path, done: Sequence[Span] = (), task: Task | None = None) -> list[Piece]:
    source = open_source(path, task or Task(), "text", path.with_name("out.parquet"))
    return list(pieces_of(source, done))


@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz", "parquet"])
@pytest.mark.parametrize(
    ("done", "wanted"),
    [
        ([], [(0, 4096), (4096, 8192), (8192, 9000)]),
        ([(0, 4096)], [(4096, 8192), (8192, 9000)]),
        ([(0, 4096), (4096, 8192), (8192, 9000)], []),
        ([(4096, 8192)], [(0, 4096), (8192, 9000)]),
    ],
)
def test_what_is_not_done_in_order(
    tmp_path: Path, suffix: str, done: Sequence[Span], wanted: Sequence[Span]
) -> None:
    pieces = _pieces(_write(tmp_path / f"a.{suffix}", [f"text {i}" for i in range(9000)]), done)
    assert [piece.span for piece in pieces] == wanted
    for piece in pieces:
        assert piece.texts == [f"text {i}" for i in range(*piece.span)]


def test_long_texts_make_short_pieces(tmp_path: Path) -> None:
    pieces = _pieces(_write(tmp_path / "a.jsonl", ["a" * 9_000_000, "b" * 9_000_000, "c"]))
    assert [piece.span for piece in pieces] == [(0, 2), (2, 3)]


def test_prompts_are_kept_in_smaller_pieces(tmp_path: Path) -> None:
    rows = [{"text": [{"role": "user", "content": str(i)}]} for i in range(300)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pieces = _pieces(path, task=Task(kind="chat", text_column="text"))
    assert [piece.span for piece in pieces] == [(0, 256), (256, 300)]


def test_how_much_of_the_file_was_read(tmp_path: Path) -> None:
    shares = [piece.share for piece in _pieces(_write(tmp_path / "a.csv", ["some text"] * 9000))]
    assert shares == [pytest.approx(4096 / 9000, abs=0.15), pytest.approx(8192 / 9000, abs=0.15), 1.0]
