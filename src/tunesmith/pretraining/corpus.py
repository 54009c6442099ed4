"""Raw text in files of any make -> documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tunesmith.data.compression import COMPRESSIONS, format_and_compression
from tunesmith.data.dataset import Dataset
from tunesmith.data.formats.lines import Sample, opened, read_sample
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.source import open_rows
from tunesmith.data.names import TEXT_NAMES, folded_name
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import sampled
from tunesmith.data.render import messages_of
from tunesmith.data.store import content_sha256
from tunesmith.data.texts import Keys, same_text_key
from tunesmith.errors import DataError, Problem, StorageError
from tunesmith.files import storage_errors

__all__ = ["Part", "documents", "files_of", "refuse_missing", "sample_of"]

# longer documents are handed to the tokenizer in pieces, so that one book is not one string
_PIECE_CHARACTERS = 100_000
_MOST_CONTROL_CHARACTERS = 0.02  # of the beginning; more is no text
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_TEXTS = (".txt", ".text", ".md")
_SAMPLE_CHARACTERS = 30_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A corpus, a file or a directory of files, and its share of the tokens trained on."""

    path: Path
    share: float = 1.0
    column: str | None = None
    """Of a table: the column of the texts; None: the one that is named so, or holds the longest."""
    rows: Dataset | None = field(default=None, repr=False)
    """These rows instead, with what is to be written after each text; `path` is then only a name."""
    without: Keys | None = field(default=None, repr=False)
    """Documents with one of these keys are passed over: see `same_text_key`"""

    @property
    def sha256(self) -> str:
        """A hash of what stands in it; empty where there is nothing."""
        if self.rows is not None:
            return self.rows.sha256
        return content_sha256(self.path) if self.path.exists() else ""


def documents(part: Part) -> Iterator[str]:
    """The documents of a corpus, read as a stream; long ones come in pieces.

    Of a table, CSV, JSON Lines or Parquet, each row is one. Of any other file it is a paragraph a line, with
    an empty line between documents. Plain, .gz, .xz or .zst. Raises StorageError, and DataError where the
    corpus is empty, damaged or no text.
    """
    if part.without is None:
        yield from _all_documents(part)
        return
    without = frozenset(part.without.tolist())
    yield from (text for text in _all_documents(part) if same_text_key(text) not in without)


def _all_documents(part: Part) -> Iterator[str]:
    if part.rows is not None:
        yield from _said(part.rows)
        return
    for path in files_of(part.path):
        suffix, _ = format_and_compression(path)
        texts = _rows(path, part.column) if suffix in _TABLES else _paragraphs(path)
        yield from texts


def _said(rows: Dataset) -> Iterator[str]:
    """Each text; of a task that writes, all that is said."""
    for row in rows:
        if not rows.task.writes:
            yield from _pieces(row.text)
            continue
        target = row.target if isinstance(row.target, str) else None
        said = [message.get("content") or "" for message in messages_of(rows.task, row.text, target)]
        yield from _pieces("\n".join(said))


def refuse_missing(parts: Sequence[Part]) -> None:
    """Raise StorageError with every corpus that is not there."""
    fix = "check the path"
    missing = [part.path for part in parts if part.rows is None and not part.path.exists()]
    if missing:
        raise StorageError(
            Problem("no-file", "no such file or directory", str(path), fix) for path in missing
        )


def sample_of(parts: Sequence[Part]) -> Iterator[str]:
    """The beginning of each part, by share, for a tokenizer to learn from."""
    total = sum(part.share for part in parts)
    for part in parts:
        left = _SAMPLE_CHARACTERS * part.share / total
        for document in documents(part):
            yield document
            left -= len(document)
            if left < 0:
                break


def files_of(path: Path) -> list[Path]:
    """The file, or the files of text of a directory and those below it, in order of their names."""
    if not path.is_dir():
        return [path]
    with storage_errors(path):
        files = sorted(child for child in path.rglob("*") if child.is_file())
    texts = [child for child in files if format_and_compression(child)[0] in (*_TEXTS, *_TABLES)]
    if not texts:
        known = ", ".join((*_TEXTS, *_TABLES))
        fix = f"name a directory with files that end in {known}, also with {', '.join(COMPRESSIONS)}"
        raise DataError(Problem("not-text", "the directory holds no file of text", str(path), fix))
    return texts


def _paragraphs(path: Path) -> Iterator[str]:
    lines: list[str] = []
    size = 0
    with storage_errors(path):
        sample = _sample(path)
        for line in _lines(path, sample):
            text = line.rstrip("\r\n")
            if (not text.strip() or size >= _PIECE_CHARACTERS) and lines:
                yield "\n".join(lines)
                lines, size = [], 0
            if text.strip():
                lines.append(text)
                size += len(text)
    if lines:
        yield "\n".join(lines)


def _sample(path: Path) -> Sample:
    if not path.is_file() and path.exists():
        fix = "name a file of text, plain or compressed"
        raise DataError(Problem("not-text", "this is no file", str(path), fix))
    sample = read_sample(path, ReadLog())
    control = sum(not (char.isprintable() or char.isspace()) for char in sample.text)
    if control > _MOST_CONTROL_CHARACTERS * len(sample.text):
        fix = "save it as plain text in UTF-8; a compressed file needs its suffix, .gz, .xz or .zst"
        raise DataError(Problem("not-text", "the file is not text", str(path), fix))
    return sample


def _lines(path: Path, sample: Sample) -> Iterator[str]:
    with opened(path, sample) as stream:
        while line := stream.readline(_PIECE_CHARACTERS):
            yield sample.encoding.mended(line)[0]


def _rows(path: Path, column: str | None) -> Iterator[str]:
    """The texts of a table; rows without one are passed over."""
    first, rows = sampled(open_rows(path, ReadLog(strict=True)))
    column = _column(path, first, column)
    # the sample is the beginning of the rows
    for row in rows:
        cell = row.values.get(column)
        if isinstance(cell, str) and cell.strip():
            yield from _pieces(cell)


def _pieces(text: str) -> Iterator[str]:
    yield from (text[at : at + _PIECE_CHARACTERS] for at in range(0, len(text), _PIECE_CHARACTERS))


def _column(path: Path, rows: list[Row], asked: str | None) -> str:
    names = list(dict.fromkeys(chain.from_iterable(row.values for row in rows)))
    sizes = {
        name: sum(len(cell) for row in rows if isinstance(cell := row.values.get(name), str))
        for name in names
    }
    if asked is None:
        known = [name for name in names if folded_name(name) in TEXT_NAMES and sizes[name]]
        exact = [name for name in known if folded_name(name) == "text"]
        # of several, the longest texts
        asked = (exact or sorted(known or names, key=lambda name: -sizes[name]) or [""])[0]
    if not sizes.get(asked):
        what = f'no text stands in column "{asked}"; the columns are {", ".join(names)}'
        raise DataError(Problem("no-column", what, str(path), "name the column with --text-column"))
    return asked
