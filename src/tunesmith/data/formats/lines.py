"""Text files line by line, decoded, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from tunesmith.data.compression import decompressed
from tunesmith.data.formats.encoding import Encoding, detect
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, too_long
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["BAD_ENCODING_FIX", "Sample", "opened", "read_sample", "text_lines"]

BAD_ENCODING_FIX = "save the file as UTF-8, or let `tunesmith check FILE --fix NEW_FILE` replace those bytes"
_SAMPLE_BYTES = 1 << 18
_MOST_NULS = 0.02  # of the sample; more is no text


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a text file, from which its make is told; `whole`: there is no more."""

    encoding: Encoding
    text: str
    whole: bool

    @property
    def newline(self) -> str:
        """What ends a line; a carriage return only in files that have nothing else."""
        return "\n" if "\n" in self.text or "\r" not in self.text else "\r"

    def lines(self) -> list[str]:
        """The complete lines, ends included."""
        parts = self.text.split(self.newline)
        complete = [part + self.newline for part in parts[:-1]]
        return [*complete, parts[-1]] if self.whole and parts[-1] else complete


def read_sample(path: Path, log: ReadLog) -> Sample:
    """Read the beginning of a text file; raise DataError where it is empty or not text."""
    with decompressed(path) as stream:
        data = _first_bytes(stream)
    whole = len(data) < _SAMPLE_BYTES
    encoding = detect(data, whole)
    if encoding.guessed:
        _tell_guess(path, encoding, log)
    text, _ = encoding.mended(data.decode(encoding.name, encoding.errors))
    if not text.strip("\ufeff \t\r\n"):
        raise refuse("empty-file", "the file is empty", path, "check that it was written and copied whole")
    if encoding.name == "utf-8" and data.count(0) > _MOST_NULS * len(data):
        what = "the file is not text: it is full of zero bytes"
        raise refuse("not-text", what, path, "save it as UTF-8 text, or give it the suffix of its format")
    return Sample(encoding, text, whole)


def _first_bytes(stream: IO[bytes]) -> bytes:
    data = bytearray()
    while len(data) < _SAMPLE_BYTES and (piece := stream.read(_SAMPLE_BYTES - len(data))):
        data += piece
    return bytes(data)


def _tell_guess(path: Path, encoding: Encoding, log: ReadLog) -> None:
    what = f"the file is not UTF-8; it looks like {encoding.name} and is read as that"
    fix = "look whether accented letters are right in the first rows; to be sure, save the file as UTF-8"
    log.fault("guessed-encoding", what, str(path), fix, severity="warning")


@contextmanager
def opened(path: Path, sample: Sample, log: ReadLog | None = None) -> Iterator[TextIO]:
    """Open a file as decoded text; bad bytes bear the mark that `Encoding.mended` finds.

    `log` then knows how much of the file was read.
    """
    encoding = sample.encoding
    with decompressed(path, log.watch if log else None) as stream:
        text = io.TextIOWrapper(stream, encoding.name, encoding.errors, newline=sample.newline)
        with text:
            yield text


def text_lines(path: Path, sample: Sample, log: ReadLog) -> Generator[str]:
    """The lines of a text file, ends included; a line with bad bytes is mended and noted.

    Raises DataError at a line over `MAX_RECORD_CHARS`, of which no more than that is held.
    """
    with opened(path, sample, log) as text:
        number = 0
        while line := text.readline(MAX_RECORD_CHARS + 1):
            number += 1
            if len(line) > MAX_RECORD_CHARS:
                raise too_long(path, number)
            mended, bad = sample.encoding.mended(line)
            if bad:
                what = f"this line holds bytes that are not {sample.encoding.name}"
                log.fault("bad-encoding", what, f"{path}:{number}", BAD_ENCODING_FIX)
            yield mended
