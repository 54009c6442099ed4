"""Files of many good lines and some bad ones, of every kind; and what a worker's validation says of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.config import read_config
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.types import Job
from tunesmith.studio.work.worker import Worker, opened_place

__all__ = [
    "ASSISTANT",
    "BAD",
    "GOOD",
    "MOST",
    "SYSTEM",
    "USER",
    "BadLines",
    "answered",
    "chat",
    "find_bad_lines",
]

MOST = 1 << 20
"""The longest line that is allowed, in bytes"""
USER, SYSTEM = {"role": "user", "content": "hi"}, {"role": "system", "content": "be kind"}
ASSISTANT = {"role": "assistant", "content": "hello"}


def chat(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"messages": list(messages), **more}).encode()


def answered(**more: Any) -> bytes:
    return chat(USER, {**ASSISTANT, **more})


GOOD = chat(SYSTEM, USER, ASSISTANT)
BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "bad-json"),
    "half an object": (b'{"messages": [', "bad-json"),
    "two objects": (GOOD + GOOD, "bad-json"),
    "a list": (b"[1]", "bad-json"),
    "a text": (b'"messages"', "bad-json"),
    "a number": (b"3", "bad-json"),
    "null": (b"null", "bad-json"),
    "single quotes": (b"{'messages': []}", "bad-json"),
    "a trailing comma": (b'{"messages": [],}', "bad-json"),
    "NaN": (b'{"messages": NaN}', "bad-json"),
    "Infinity": (b'{"messages": -Infinity}', "bad-json"),
    "too large a number": (b'{"messages": 1e999}', "bad-json"),
    "too many digits": (b'{"messages": ' + b"9" * 5000 + b"}", "bad-json"),
    "a control character": (b'{"messages": "\x01"}', "bad-json"),
    "nested deeply": (b'{"messages": ' + b"[" * 101 + b"]" * 101 + b"}", "bad-json"),
    "nested for ever": (b'{"a":' * 50_000, "bad-json"),
    "too many values": (b'{"messages": [' + b"," * 1_000_001, "bad-json"),
    "no UTF-8": (b'{"messages": "\xff"}', "bad-encoding"),
    "half a character": (b'{"messages": "\\ud800"}', "bad-encoding"),
    "half a character as key": (b'{"\\udfff": 1}', "bad-encoding"),
    "a zero character": (b'{"prompt": "\\u0000", "completion": "a"}', "bad-encoding"),
    "UTF-16": (GOOD.decode().encode("utf-16-le")[:-1], "bad-json"),
    "a key twice": (b'{"messages": [], "messages": []}', "duplicate-key"),
    "a key twice inside": (b'{"messages": [{"role": "user", "role": "user"}]}', "duplicate-key"),
    "too long": (b'{"messages": "' + b"a" * MOST + b'"}', "line-too-long"),
    "an empty object": (b"{}", "not-an-example"),
    "another form": (b'{"prompt": "a", "completion": "b"}', "mixed-forms"),
    "a preference": (b'{"input": {}, "preferred_output": []}', "not-an-example"),
    "a stray key": (chat(USER, ASSISTANT, label="x"), "stray-key"),
    "messages that are a text": (b'{"messages": "[]"}', "bad-messages"),
    "messages that are null": (b'{"messages": null}', "bad-messages"),
    "no message": (chat(), "bad-messages"),
    "a message that is a text": (chat("hi", ASSISTANT), "bad-messages"),
    "a stray key in a message": (answered(mood="good"), "stray-key"),
    "no role": (chat({"content": "hi"}, ASSISTANT), "unknown-role"),
    "an unknown role": (chat({**USER, "role": "human"}, ASSISTANT), "unknown-role"),
    "no content": (chat(USER, {"role": "assistant"}), "bad-content"),
    "a picture": (chat({"role": "user", "content": [{"type": "image_url"}]}, ASSISTANT), "bad-content"),
    "a name that is a number": (answered(name=3), "bad-messages"),
    "a call of a tool": (answered(tool_calls=[{"id": "a"}]), "tool-calls"),
    "a weight of a half": (answered(weight=0.5), "bad-weight"),
    "a weight that is true": (answered(weight=True), "bad-weight"),
    "a weight of the user": (chat({**USER, "weight": 0}, ASSISTANT), "bad-weight"),
    "no answer": (chat(USER), "no-answer"),
    "an answer before the end": (chat(USER, ASSISTANT, USER), "last-not-answer"),
    "nothing to learn": (answered(weight=0), "nothing-learned"),
    "an empty answer": (answered(content=" "), "empty-completion"),
}
"""kind -> line, and the code that names what is wrong with it"""

_GOOD_LINES = 500
_WORDS = ("the", "of", "and", "to", "in", "a", "goal", "vote", "coach", "senate", "naïve", "café")


@dataclass(slots=True)
class BadLines:
    """What was found in files that were bad on purpose."""

    lines: int = 0
    kinds: int = len(BAD)
    file_bytes: int = 0
    seconds: float = 0.0
    peak_mib: int = 0
    """Of the whole process of a worker, while it validated the file"""
    peak_of_one_line_mib: int = 0
    """The same with a file of as many bytes that is one line"""
    peak_of_few_lines_mib: int = 0
    """The same with a file of one bad line: what a worker takes by itself on this machine"""
    faults: list[str] = field(default_factory=list)
    """Lines that were not named, or named otherwise, or named and good"""


def find_bad_lines(directory: Path, base: Path, *, lines: int, file_bytes: int, seed: int) -> BadLines:
    """Validate a file with so many bad lines, and one that is a single line, as a worker does."""
    # the studio brings torch along, which a worker loads only to train
    from tests.chaos.served import new_small_studio

    studio = new_small_studio(directory, base, max_line_bytes=MOST)
    place, found = directory / "bad.jsonl", BadLines(lines)
    planted = _plant(place, lines, file_bytes, random.Random(seed))
    found.file_bytes, began = place.stat().st_size, time.monotonic()
    job, found.peak_mib = _validated(studio, place)
    found.seconds = round(time.monotonic() - began, 1)
    [listed] = job.result_files
    told = dict[int, list[str]]()
    for line in studio.bytes_of(listed).splitlines():
        fault = json.loads(line)
        told.setdefault(fault["line"], []).append(fault["code"])
    found.faults += [
        f"line {line}: {told.get(line)} and not {planted.get(line)}"
        for line in sorted(planted.keys() | told.keys())
        if told.get(line) != [planted.get(line)]
    ]
    with place.open("wb") as stream:
        stream.truncate(file_bytes)
    job, found.peak_of_one_line_mib = _validated(studio, place)
    if "Line 1: the line is longer" not in str(job.error):
        found.faults.append(f"one long line: {job.error}")
    _plant(place, 1, 1, random.Random(seed))
    _, found.peak_of_few_lines_mib = _validated(studio, place)
    studio.close()
    return found


def _plant(place: Path, lines: int, file_bytes: int, chance: random.Random) -> dict[int, str]:
    """Write the file; line -> the code of what is wrong with it."""
    kinds, planted, number = list(BAD.values()), dict[int, str](), 0
    good_ones = [_good_line(chance) for _ in range(_GOOD_LINES)]
    with place.open("wb") as stream:
        for at in range(lines):
            bad, code = kinds[at % len(kinds)]
            room = file_bytes // lines - len(bad)
            while True:
                good = chance.choice(good_ones)
                stream.write(good + b"\n")
                number, room = number + 1, room - len(good)
                if room <= 0:
                    break
            stream.write(bad + b"\n")
            number += 1
            planted[number] = code
    return planted


def _good_line(chance: random.Random) -> bytes:
    said = " ".join(chance.choices(_WORDS, k=chance.randint(5, 400)))
    return chat({"role": "user", "content": said}, {"role": "assistant", "content": said[::-1]})


def _validated(studio: Any, place: Path) -> tuple[Job, int]:
    """The job of a file after a worker has validated it, and the most memory of that worker in MiB."""
    file_id = studio.file_of(b"")
    target = studio.directory / "blobs" / "files" / file_id
    place.replace(target)
    job = studio.job(file_id)
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", __name__, studio.url, studio.blobs, str(studio.directory)]
    told = subprocess.run(words, capture_output=True, text=True, check=True, env=environ)
    target.unlink()
    return studio.found(job), int(told.stdout)


def main(url: str, blobs: str, directory: Path) -> None:
    """Validate the job that is next, as a worker, and say the most memory it took, in MiB."""
    config = read_config(directory / "studio.yaml", StudioConfig)
    worker = Worker(opened_place(url, blobs, directory, config))
    assert worker.validate_next()
    # getrusage would tell the most of whoever started this process, where that is more
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    sys.stdout.write(f"{int(peak.split()[1]) // 1024}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
