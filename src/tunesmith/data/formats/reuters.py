"""Reuters-21578's SGML -> rows: headline and story, and the topics.

No XML: there is no root, and control characters are written as references. Source of the splits: the
collection's README, Lewis 1997.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tunesmith.data.compression import decompressed, format_and_compression
from tunesmith.data.formats.parts import no_such_part
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["PARTS", "SUFFIXES", "is_collection", "rows"]

SUFFIXES = (".sgm", ".sgml")
PARTS = ("train", "test")
_DOCUMENT = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_ITEM = re.compile(r"<D>(.*?)</D>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SIGNATURE = re.compile(r"\n *reuter *$", re.IGNORECASE)


def is_collection(path: Path) -> bool:
    """Whether a directory holds files of the collection."""
    return any(format_and_compression(child)[0] in SUFFIXES for child in path.iterdir() if child.is_file())


def rows(path: Path, part: str | None, log: ReadLog) -> Iterator[Row]:
    """The documents of a file, or of all files of a directory in order of their names.

    `part` is one of the ModApte split: documents whose topics were assigned, `train` or `test` by Lewis's
    own mark, of whose topics those count that both have, and only documents with one of these. Without it,
    all documents come, with their marks in columns. A document without words is left out, with a warning.
    """
    if part is not None and part not in PARTS:
        raise no_such_part(path, part, PARTS)
    known = _topics_of_both(path) if part is not None else frozenset()
    for document in _documents(path):
        topics = document.items("TOPICS")
        if part is not None:
            topics = [topic for topic in topics if topic in known] if document.part == part else []
            if not topics:
                continue
        row = document.row(topics)
        if row.values["text"]:
            yield row
        else:
            fix = "nothing: the document has only its marks"
            log.fault(
                "no-words", "this document has neither a headline nor a story", row.where, fix, "warning"
            )


def _topics_of_both(path: Path) -> frozenset[str]:
    found: dict[str | None, set[str]] = {}
    for document in _documents(path):
        found.setdefault(document.part, set()).update(document.items("TOPICS"))
    return frozenset(found.get("train", set()) & found.get("test", set()))


@dataclass(frozen=True, slots=True)
class _Document:
    """The markup of one document, and where it stands."""

    marks: Mapping[str, str]
    markup: str
    file: str
    line: int

    @property
    def part(self) -> str | None:
        """Which of the ModApte split it is in, if any."""
        part = self.marks.get("LEWISSPLIT", "").lower()
        return part if part in PARTS and self.marks.get("TOPICS") == "YES" else None

    def items(self, name: str) -> list[str]:
        """What stands in a list."""
        return [_plain(item) for item in _ITEM.findall(_element(self.markup, name))]

    def row(self, topics: list[str]) -> Row:
        """Its cells, with `topics` as the labels."""
        values: dict[str, object] = {
            "id": self.marks.get("NEWID"),
            "text": self._text(),
            "labels": topics,
            "lewissplit": self.marks.get("LEWISSPLIT"),
            "has_topics": self.marks.get("TOPICS"),
            "date": _plain(_element(self.markup, "DATE")),
            "places": self.items("PLACES"),
        }
        return Row(values, self.line, self.file)

    def _text(self) -> str:
        story = _element(self.markup, "TEXT")
        title, body = _element(story, "TITLE"), _element(story, "BODY")
        # documents that no one parted into headline and story have one text
        plain = "\n".join(filter(None, map(_plain, (title, body)))) if title or body else _plain(story)
        # the agency signs at the end
        return _SIGNATURE.sub("", plain)


def _documents(path: Path) -> Iterator[_Document]:
    files = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
    return chain.from_iterable(
        _of_file(file) for file in files if format_and_compression(file)[0] in SUFFIXES
    )


def _of_file(file: Path) -> Iterator[_Document]:
    with decompressed(file) as stream:
        text = stream.read().decode("latin-1")
    line, at = 1, 0
    for match in _DOCUMENT.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        yield _Document(dict(_ATTRIBUTE.findall(match[1])), match[2], str(file), line)
    if not at and not _DOCUMENT.match(text):
        what = "the file holds no <REUTERS> document: of SGML, only Reuters-21578's can be read"
        raise refuse("unknown-format", what, file, "save the texts as JSON Lines or CSV")


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}\b[^>]*>(.*?)</{name}>", text, re.DOTALL)
    return found[1] if found else ""


def _plain(markup: str) -> str:
    """Words without tags and control characters, each line without its margins."""
    text = _CONTROL.sub("", html.unescape(_TAG.sub("", markup)))
    return "\n".join(filter(None, (line.strip() for line in text.split("\n"))))
