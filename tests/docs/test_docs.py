"""The documentation is current, and every code block on it works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks, commands, run_console, run_python
from tests.listening import free_port

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if any(blocks(page.read_text(encoding="utf-8")))
]
NEEDED = ("bash", "curl")


def test_docs_say_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/check_docs.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_blocks_work(
    page: Path, start: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"the pages show {' and '.join(missing)}, which this machine lacks")
    shutil.copytree(start, tmp_path, dirs_exist_ok=True)
    found = [_on_port(block, free_port()) for block in blocks(page.read_text(encoding="utf-8"))]
    if not any(_makes_run(block) for block in found):
        shutil.copytree(request.getfixturevalue("finished_run"), tmp_path / "runs/news")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    for block in found:
        _run(block, page, tmp_path, namespace)


def _makes_run(block: Block) -> bool:
    return bool(re.search(r"tunesmith train .*--out runs/news\b", block.code))


def _on_port(block: Block, port: int) -> Block:
    """The pages serve at 8000, which may be taken here."""
    return replace(block, code=re.sub(r"\b8000\b", str(port), block.code))


def _run(block: Block, page: Path, directory: Path, namespace: dict[str, Any]) -> None:
    if block.kind == "python":
        run_python(block, page, namespace)
        return
    code, said = run_console(block, directory)
    assert code == 0, f"{page}:{block.line}\n{commands(block.code)}\n-> {code}\n{said}"


def test_only_typed_lines_are_commands() -> None:
    code = "$ echo one \\\n> two\none two\n$ echo three | cat\nthree\n"
    assert commands(code) == "echo one \\\ntwo\necho three | cat"


def test_a_marked_block_is_skipped() -> None:
    text = "```console\n$ true\n```\n\n<!-- not run: takes hours -->\n```console\n$ false\n```\n"
    assert [block.code for block in blocks(text)] == ["$ true\n"]


def test_a_failing_command_is_told_and_what_it_left_running_is_ended(tmp_path: Path) -> None:
    code, said = run_console(
        Block("console", "$ sleep 600 &\n$ echo said\n$ exit 3\n$ echo no\n", 0), tmp_path
    )
    assert code == 3
    assert said == "said\n"
