"""The command line as people meet it: a process of its own, on a tiny base."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.forked import Forked, environment, nursery
from tests.models import POLITICS, SPORTS

LABELS = ("⚖️ politics, law", "sports")
TUNESMITH = [sys.executable, "-m", "tunesmith"]
TIMEOUT_SECONDS = 240.0
# so few examples would all be learned from, and none kept for validation; slow rivals are tested elsewhere
JUDGED = ("--set", "validation_fraction=0.1", "--set", "rival_seconds=0")
# eighteen steps an epoch and no early stop: long enough to be stopped, the same with every run
LONG = (
    *("--epochs", "12", "--set", "batch_tokens=45", "--set", "early_stopping=0"),
    *JUDGED,
)

_BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command came to."""

    code: int
    out: str
    err: str

    def refused(self, *codes: str, exit_code: int = 1) -> Finished:
        """Assert that it told exactly these problems, each with a place and a remedy, and no traceback."""
        assert self.code == exit_code, self
        assert "Traceback" not in self.out + self.err, self.err
        assert tuple(re.findall(r"^error\[([\w-]+)\]", self.err, re.MULTILINE)) == codes, self.err
        for line in ("  where: ", "  fix:   "):
            assert self.err.count(f"\n{line}") >= len(codes), self.err
        return self

    def good(self) -> Finished:
        """Assert that all went well."""
        assert self.code == 0, self
        assert "Traceback" not in self.err, self.err
        return self

    @property
    def resume_command(self) -> list[str]:
        """The command that it says to go on with, without the name of the program."""
        found = re.search(r"go on with:\n  (?:torchrun .* )?tunesmith (.*)\n", self.err)
        assert found, self.err
        return shlex.split(found[1])


@dataclass
class Running:
    """A command under way whose standard error is read line by line."""

    process: subprocess.Popen[str] | Forked
    errors: IO[str]
    lines: list[str] = field(default_factory=list)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until standard error has said `text` so many times."""
        for line in iter(self.errors.readline, ""):
            self.lines.append(line)
            times -= text in line
            if not times:
                return
        raise AssertionError(f"{text!r} did not come: {self.lines}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def finish(self) -> Finished:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return Finished(self.process.wait(), out, "".join(self.lines) + err)


class Cli:
    """Runs the command in one directory."""

    def __init__(self, directory: Path, program: Sequence[str] = TUNESMITH) -> None:
        self.directory, self.program = directory, program

    def __call__(self, *words: str | Path, stdin: str | bytes = "", **env: str) -> Finished:
        """Run to the end."""
        typed = [str(word) for word in words]
        given = stdin.encode() if isinstance(stdin, str) else stdin
        if self.program == TUNESMITH and not env:
            done = nursery().run(typed, self.directory, given, TIMEOUT_SECONDS)
        else:
            done = subprocess.run(
                [*self.program, *typed],
                input=given,
                capture_output=True,
                cwd=self.directory,
                env=environment(**env),
                timeout=TIMEOUT_SECONDS,
            )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str | Path) -> Running:
        """Begin, and leave it running."""
        typed = list(map(str, words))
        if self.program == TUNESMITH:
            forked = nursery().start(["-m", "tunesmith", *typed], environment(), self.directory)
            assert forked.stderr is not None
            return Running(forked, forked.stderr)
        process = subprocess.Popen(
            [*self.program, *typed],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.directory,
            env=environment(),
        )
        assert process.stderr is not None
        return Running(process, process.stderr)


def write_table(path: Path, rows: int = 60, label: Callable[[int], str] = lambda i: LABELS[i % 2]) -> Path:
    """A CSV of short texts of two kinds."""
    texts = (POLITICS, SPORTS)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(rows):
            writer.writerow([f"{texts[i % 2][i // 2 % 3]} {i // 6} rounds in", label(i)])
    return path


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_arrives() -> None:
    """A shell's background jobs ignore Ctrl-C and so would all that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a directory of its own."""
    return Cli(tmp_path)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A directory with `news.csv`, whose labels have a comma and an emoji, and `base`."""
    directory = tmp_path_factory.mktemp("workshop")
    write_table(directory / "news.csv")
    (directory / "base").symlink_to(tiny_base)
    return directory


@pytest.fixture(scope="session")
def finished(workshop: Path) -> Iterator[Path]:
    """A finished run on `news.csv`."""
    Cli(workshop)("train", "news.csv", "--base", "base", "--epochs", "2", "--out", "run", *JUDGED).good()
    yield workshop / "run"
    assert (workshop / "run" / "model" / "manifest.json").is_file(), "a test spoiled the shared run"


@pytest.fixture(scope="session")
def long_run(workshop: Path) -> Path:
    """A run of 216 steps that nothing interrupted."""
    Cli(workshop)("train", "news.csv", "--base", "base", *LONG, "--out", "long").good()
    return workshop / "long"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; tests that need it skip where it is not."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, a dev dependency")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium: install the package `chromium` of the system")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=_BROWSER_FLAGS)
        yield opened
        opened.close()
