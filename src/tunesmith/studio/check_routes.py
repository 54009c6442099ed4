"""/v1/files/{id}/check: what a training file is, before a job is made of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from starlette.requests import Request

from tunesmith.api.gate import Gate
from tunesmith.api.openapi import EVERYWHERE, responses
from tunesmith.api.schemas import Wire
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.context import Studio, on_disk, studio_of
from tunesmith.studio.file_check import Count, FileCheck, Teaches, check_file
from tunesmith.studio.file_routes import found_file
from tunesmith.studio.types import File

__all__ = [
    "Checks",
    "FileCheckObject",
    "LabelCount",
    "LengthFacts",
    "LineFacts",
    "add_check_routes",
    "file_check",
]

_MOST_BYTES = 64 << 20
_MOST_AT_ONCE = 4
_MOST_KEPT = 64


class LabelCount(Wire):
    """A label, and how many examples have it."""

    label: str
    examples: int


class LengthFacts(Wire):
    """How long examples are, all that is said in one taken together."""

    median: float
    longest: int
    longest_line: int
    """On which line the longest stands."""
    counted: int
    """Of how many examples that is."""


class LineFacts(Wire):
    """What is wrong with a line."""

    line: int
    code: str
    message: str
    fix: str


class FileCheckObject(Wire):
    """What a training file is."""

    id: str
    object: Literal["file.check"] = "file.check"
    teaches: Teaches | None
    """What a model would learn from it; null where no line is an example."""
    examples: int
    labels: list[LabelCount]
    """Its labels, the most frequent first, where its answers are labels."""
    characters: LengthFacts | None
    tokens: LengthFacts | None
    """Of its first examples, as the studio's first base counts them; null where that lies on a hub."""
    bad_lines: int
    faults: int
    first_faults: list[LineFacts]
    """The first twenty."""
    whole: bool
    """Whether it was read to its end; of a large file, the first 64 MiB are."""

    @classmethod
    def of(cls, file: File, found: FileCheck) -> FileCheckObject:
        """The check as it is told."""
        return cls(
            id=file.id,
            teaches=found.teaches,
            examples=found.examples,
            labels=[LabelCount(label=label, examples=count) for label, count in found.labels],
            characters=found.characters and LengthFacts(**asdict(found.characters)),
            tokens=found.tokens and LengthFacts(**asdict(found.tokens)),
            bad_lines=found.bad_lines,
            faults=found.faults,
            first_faults=[LineFacts(**asdict(fault)) for fault in found.first],
            whole=found.whole,
        )


class Checks:
    """What was found in files, by project and content; used from the event loop only."""

    def __init__(self) -> None:
        self._gate = Gate(_MOST_AT_ONCE)
        self._found: OrderedDict[tuple[str, str], FileCheck] = OrderedDict()

    async def of(self, studio: Studio, file: File) -> FileCheck:
        """What is found in a file, once for all who ask; raises Refusal `busy` and `draining`."""
        name = (file.project, file.sha256)
        async with studio.turns.turn(f"check {file.project} {file.sha256}"):
            if name not in self._found:
                with self._gate.permit():
                    self._found[name] = await on_disk(_check, studio, file)
            self._found.move_to_end(name)
            while len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)
            return self._found[name]


def add_check_routes(app: FastAPI) -> None:
    """Add the route of the check, which OpenAI's API does not have."""
    app.state.checks = Checks()
    told = responses(*EVERYWHERE, "no-such-file", "busy", "storage-fault")
    app.add_api_route("/v1/files/{file_id}/check", file_check, response_model=FileCheckObject, responses=told)


async def file_check(request: Request, file_id: str) -> FileCheckObject:
    """Tell what a training file is: its examples, their form and lengths, and its faults."""
    studio, file = studio_of(request), await found_file(request, file_id)
    studio.check_not_draining()
    checks: Checks = request.app.state.checks
    return FileCheckObject.of(file, await checks.of(studio, file))


def _check(studio: Studio, file: File) -> FileCheck:
    return check_file(
        partial(studio.blobs.open, file.blob),
        most_line_bytes=studio.config.max_line_bytes,
        most_bytes=_MOST_BYTES,
        count=_counting(studio.config),
        go_on=studio.check_not_draining,
    )


def _counting(config: StudioConfig) -> Count | None:
    """How the studio's first base counts tokens; None where it does not lie here."""
    from tunesmith.model.base import EMBEDDED, embedded_base

    base = next(iter(config.bases.values()))
    place = (embedded_base() if base == EMBEDDED else Path(base).expanduser()) / "tokenizer.json"
    return _tokens_by(str(place)) if place.is_file() else None


@cache
def _tokens_by(place: str) -> Count:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(place)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(each) for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
