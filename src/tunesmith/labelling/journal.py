"""The file of answers: one JSON object a line, on disk before the next text is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tunesmith.data.problems import shown
from tunesmith.errors import DataError, Problem, StorageError
from tunesmith.files import storage_errors

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["Answer", "Journal", "open_journal"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The labels that a person gave a text; `where` is file:line of it."""

    text: str
    labels: tuple[str, ...]
    where: str


class Journal:
    """Answers in the order in which they were given; each is flushed to disk when it is added."""

    def __init__(self, path: Path, stream: FileIO, several: bool) -> None:
        self.path, self.several = path, several
        self.answers: list[Answer] = []
        self.notes: list[str] = []
        self._stream = stream
        self._starts: list[int] = []

    def add(self, answer: Answer) -> None:
        """Write an answer to the end, whole or not at all; raises StorageError."""
        start = self._stream.seek(0, os.SEEK_END)
        with storage_errors(self.path):
            try:
                self._write(_line(answer, self.several))
            except OSError:
                self._cut(start)
                raise
        self.answers.append(answer)
        self._starts.append(start)

    def undo(self) -> Answer | None:
        """Take the last answer away, of an earlier session too; None where there is none."""
        if not self.answers:
            return None
        with storage_errors(self.path):
            self._cut(self._starts.pop())
        return self.answers.pop()

    def read(self, labels: Sequence[str]) -> None:
        """Read what stands in the file, and mend its end; raises DataError where it holds anything else."""
        content, start = self._stream.readall(), 0
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            if not line.strip():
                start += len(line)
                continue
            is_last = start + len(line) == len(content)
            answer = self._answer(line, number, labels, torn=is_last and not line.endswith(b"\n"))
            if answer is None:
                self._cut(start)
                self.notes.append(f"line {number} was not whole, as after a crash, and was taken off")
                return
            self.answers.append(answer)
            self._starts.append(start)
            start += len(line)
        if content and not content.endswith(b"\n"):
            self._write(b"\n")

    def _answer(self, line: bytes, number: int, labels: Sequence[str], *, torn: bool) -> Answer | None:
        """The answer of a line, None where it is a torn one."""
        try:
            row = json.loads(line.decode("utf-8"))
            given = row["labels"] if self.several else [row["label"]]
            answer = Answer(_text(row["text"]), tuple(map(_text, given)), _text(row.get("where", "")))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            if torn:
                return None
            raise DataError(_no_answer(f"{self.path}:{number}", self.several)) from error
        unknown = [label for label in answer.labels if label not in labels]
        if unknown:
            what = f"{shown(unknown[0])} is not a label of this task"
            fix = "add it to --labels, or name another file with --out"
            raise DataError(Problem("unknown-label", what, f"{self.path}:{number}", fix))
        return answer

    def _cut(self, length: int) -> None:
        self._stream.truncate(length)
        self._stream.seek(0, os.SEEK_END)
        os.fsync(self._stream.fileno())

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._stream.write(data) :]
        os.fsync(self._stream.fileno())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _no_answer(where: str, several: bool) -> Problem:
    how = "with --multi a line has `text` and `labels`" if several else "a line has `text` and `label`"
    fix = f"name another file with --out; {how}"
    return Problem("no-answer-line", "this is no line that `tunesmith label` writes so", where, fix)


def _line(answer: Answer, several: bool) -> bytes:
    labels = {"labels": list(answer.labels)} if several else {"label": answer.labels[0]}
    row = {"text": answer.text, **labels, "where": answer.where}
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half a character
        return json.dumps(row).encode("ascii") + b"\n"


@contextmanager
def open_journal(path: Path, labels: Sequence[str], *, several: bool) -> Iterator[Journal]:
    """Open the file of answers, new or to go on; `several` labels a text, or one.

    Raises DataError where it holds what are no answers with these labels, and StorageError where it cannot be
    written or another session writes it.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # unbuffered: what could not be written must not come later
        stream = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    with stream:
        _lock(stream, path)
        journal = Journal(path, stream, several)
        with storage_errors(path):
            journal.read(labels)
        yield journal


def _lock(stream: FileIO, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        fix = "end the other session, or name another file with --out"
        problem = Problem("labelling-elsewhere", "another session writes its answers here", str(path), fix)
        raise StorageError(problem) from error
