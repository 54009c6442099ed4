"""Files that were downloaded from OpenAI -> what stands in them, or every line that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from tunesmith.errors import DataError, Problem
from tunesmith.files import storage_errors
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.job_recipe import job_task
from tunesmith.studio.validation.forms import Form, said_in
from tunesmith.studio.validation.reading import Fault, Reading, examples_of, first_form, read_through
from tunesmith.studio.validation.survey import FEWEST_EXAMPLES, labels_taught
from tunesmith.task import Task

__all__ = ["Export", "read_export"]

CountTokens = Callable[[Sequence[str]], Sequence[int]]

_SHOWN_RANGES = 200
_ROWS_AT_ONCE = 256
_MOST_LINE_BYTES: int = StudioConfig().max_line_bytes


@dataclass(frozen=True, slots=True)
class Export:
    """A training file, and what there is to judge by."""

    training: Path
    validation: Path | None
    form: Form
    examples: int
    validation_examples: int | None
    tokens: int
    """Of all messages of the training file, without what a chat template adds"""
    labels: tuple[str, ...]
    """What the answers are, where the model will be a classifier"""

    @property
    def method(self) -> str:
        """By what method a job learns from it."""
        return "dpo" if self.form == "preference" else "supervised"

    @property
    def kind(self) -> str:
        """What is learned, in a word."""
        return "classifier" if self.labels else {"preference": "preferences"}.get(self.form, "writer")

    @property
    def task(self) -> Task:
        """What `tunesmith train` learns of the same file."""
        return job_task(self.form, self.labels)


def read_export(training: Path, validation: Path | None, count_tokens: CountTokens) -> Export:
    """Read the files as a studio does; raises DataError with every bad line, or StorageError."""
    with _opened(training) as stream:
        preferences = first_form(stream, _MOST_LINE_BYTES) == "preference"
    train = _read(training, None, preferences)
    held_out = None if validation is None else _read(validation, train.form, preferences)
    if problems := [*_problems(training, train), *(_problems(validation, held_out) if held_out else [])]:
        raise DataError(problems)
    _refuse_few(training, train.survey.examples, FEWEST_EXAMPLES)
    if validation is not None and held_out is not None:
        _refuse_few(validation, held_out.survey.examples, 1)
    assert train.form is not None, "there are examples"
    labels = labels_taught(train.survey, held_out.survey if held_out else None)
    counts = train.survey.examples, held_out.survey.examples if held_out else None
    return Export(training, validation, train.form, *counts, _tokens(training, count_tokens), labels)


def _opened(path: Path) -> IO[bytes]:
    with storage_errors(path):
        return path.open("rb")


def _read(path: Path, form: Form | None, preferences: bool) -> Reading:
    with _opened(path) as stream, storage_errors(path):
        return read_through(stream, _MOST_LINE_BYTES, form=form, preferences=preferences)


def _problems(path: Path | None, found: Reading) -> Iterator[Problem]:
    """One for each thing that is wrong, with the numbers of all its lines."""
    alike: dict[tuple[str, str, str], list[int]] = {}
    found.listed.seek(0)
    for each in found.listed:
        fault = Fault(**json.loads(each))
        alike.setdefault((fault.code, fault.message, fault.fix), []).append(fault.line)
    found.close()
    for (code, what, fix), at in alike.items():
        yield Problem(code, what, f"{path}: {_ranges(at)}", fix, count=len(at))


def _ranges(numbers: Sequence[int]) -> str:
    """`lines 3, 7-9`, of ascending numbers."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number <= ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    told = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges[:_SHOWN_RANGES]]
    more = sum(last - first + 1 for first, last in ranges[_SHOWN_RANGES:])
    word = "line" if numbers[0] == numbers[-1] else "lines"
    return f"{word} {', '.join(told)}" + (f" and {more:,} more" if more else "")


def _refuse_few(path: Path, examples: int, fewest: int) -> None:
    if examples < fewest:
        what = f"the file has {examples} example(s), but must have at least {fewest}"
        raise DataError(Problem("few-examples", what, str(path), "add examples"))


def _tokens(path: Path, count_tokens: CountTokens) -> int:
    with _opened(path) as stream:
        examples = (values for values in examples_of(stream, _MOST_LINE_BYTES) if values is not None)
        total = 0
        while rows := list(islice(examples, _ROWS_AT_ONCE)):
            total += sum(count_tokens([text for row in rows for text in said_in(row)]))
        return total
