"""Documents come out of files of any make, and of directories of them."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tunesmith.errors import UserError
from tunesmith.pretraining.corpus import Part, documents, sample_of

TEXTS = ["Größe", "Übermut\nund Äpfel", "öde"]
ROWS = [{"id": n, "title": "t", "text": text} for n, text in enumerate(TEXTS)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def read(path: Path, column: str | None = None) -> list[str]:
    return list(documents(Part(path, 1.0, column)))


def test_paragraphs_of_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufefféins\r\nzwei\r\n\r\n \r\ndrei\0\n".encode())
    assert read(path) == ["éins\nzwei", "drei\ufffd"]
    path.write_bytes("\n\n".join(TEXTS).encode("utf-16"))
    assert read(path) == TEXTS


def test_a_line_of_any_length_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 250_000, encoding="utf-8")
    assert [len(document) for document in read(path)] == [100_000, 100_000, 50_000]
    table = tmp_path / "a.jsonl"
    table.write_text(json.dumps({"text": "y" * 150_000}))
    assert [len(document) for document in read(table)] == [100_000, 50_000]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", JSONL),
        ("a.jsonl.gz", gzip.compress(JSONL, mtime=0)),
        ("a.jsonl.xz", lzma.compress(JSONL)),
        ("a.jsonl.zst", zstandard.compress(JSONL)),
        ("a.json", json.dumps(ROWS).encode()),
        ("a.csv", b'id,text\n0,Gr\xc3\xb6\xc3\x9fe\n1,"\xc3\x9cbermut\nund \xc3\x84pfel"\n2,\xc3\xb6de\n'),
        ("b.txt.gz", gzip.compress("\n\n".join(TEXTS).encode(), mtime=0)),
    ],
)
def test_each_row_of_a_table_is_a_document(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert read(tmp_path / name) == TEXTS


def test_parquet_and_rows_without_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["eins", None, "  ", "zwei"], "n": [1, 2, 3, 4]}), path)
    assert read(path) == ["eins", "zwei"]


def test_the_column_is_named_or_the_likeliest(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps({"title": "short", "article": "a long one", "note": "the longest of them all"})
    )
    assert read(path) == ["a long one"]
    assert read(path, "note") == ["the longest of them all"]
    path.write_text(json.dumps({"a": "ab", "b": "abc", "c": 1}))
    assert read(path) == ["abc"]
    for column in ("x", "c"):
        with pytest.raises(UserError, match="no-column") as caught:
            read(path, column)
        assert "a, b, c" in caught.value.problems[0].what


def test_a_directory_is_its_files_of_text(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.md").write_text("zwei")
    (tmp_path / "a.txt").write_text("eins")
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "drei"}))
    (tmp_path / "d.png").write_bytes(b"\x89PNG\0\0")
    assert read(tmp_path) == ["eins", "zwei", "drei"]


def test_a_directory_without_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.png").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(UserError, match="not-text"):
        read(tmp_path)


def test_a_bad_row_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(UserError) as caught:
        read(path)
    assert caught.value.problems[0].where.startswith(f"{path}:2")


def test_a_tokenizer_learns_from_each_corpus_by_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.pretraining.corpus._SAMPLE_CHARACTERS", 300)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("\n\n".join([name * 10] * 100))
    parts = [Part(tmp_path / "a.txt", 2.0), Part(tmp_path / "b.txt", 1.0)]
    counts = [sum(text.startswith(name) for text in sample_of(parts)) for name in "ab"]
    assert counts == [21, 11]


def test_a_sample_is_read_as_a_stream(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("eins\n\nzwei")
    found: Iterator[str] = sample_of([Part(tmp_path / "a.txt")])
    assert next(found) == "eins"
