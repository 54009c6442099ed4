"""The code blocks of a page, and how they are run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forked import nursery

__all__ = ["Block", "blocks", "commands", "run_console", "run_python"]

_BLOCK = re.compile(
    r"^(?P<skip><!-- not run: .+? -->\n\n?)?```(?P<kind>python|console)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SECONDS = 500


@dataclass(frozen=True, slots=True)
class Block:
    """A code block, and the line before its first."""

    kind: str
    code: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page that are to be run, in order."""
    for found in _BLOCK.finditer(text):
        if not found["skip"]:
            yield Block(found["kind"], found["code"], text.count("\n", 0, found.start("code")))


def commands(code: str) -> str:
    """What is typed in a console block: lines that begin with `$ `, and with `> ` where one goes on."""
    return "\n".join(line[2:] for line in code.splitlines() if line.startswith(("$ ", "> ")))


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    """Run a block in `namespace`; a traceback names the page and its line."""
    exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)


def run_console(block: Block, directory: Path) -> tuple[int, str]:
    """Run a block's commands in one bash; the exit code of the first that fails, and what all said.

    Whatever they leave running is ended.
    """
    output = directory / ".output"
    places = (nursery().tunesmith.parent, Path(sys.executable).parent, os.environ["PATH"])
    with output.open("wb") as stream:
        bash = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands(block.code)],
            cwd=directory,
            env={**os.environ, "PATH": os.pathsep.join(map(str, places))},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = bash.wait(timeout=_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
            bash.wait()
    return code, output.read_text(encoding="utf-8", errors="replace")
