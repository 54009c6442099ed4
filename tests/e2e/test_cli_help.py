"""What the command says of itself; `pytest --update-golden` writes what it says now."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from tests.conftest import GOLDEN
from tests.e2e.conftest import Cli
from tunesmith import __version__
from tunesmith.cli.main import app

_COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# those of a verb's own come behind it
VERBS = tuple(
    " ".join(words)
    for name, command in _COMMANDS.items()
    for words in ((name,), *((name, each) for each in getattr(command, "commands", ())))
)

Golden = Callable[[str, str], None]


def _help_of(verb: str) -> str:
    return f"help/{verb.replace(' ', '-')}.txt"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(cli: Cli, golden: Golden, verb: str) -> None:
    said = cli(*verb.split(), "--help").good()
    assert said.err == ""
    golden(_help_of(verb or "tunesmith"), "".join(f"{line.rstrip()}\n" for line in said.out.splitlines()))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb: str) -> None:
    assert re.search(rf"Example: tunesmith {verb}\b", (GOLDEN / _help_of(verb)).read_text("utf-8"))


def test_there_is_no_help_of_a_verb_that_is_gone() -> None:
    said = {f"help/{path.name}" for path in (GOLDEN / "help").iterdir()}
    assert said == {_help_of(verb) for verb in ("tunesmith", *VERBS)}


@pytest.mark.parametrize("kind", ["task", "recipe"])
def test_schema(cli: Cli, golden: Golden, kind: str) -> None:
    said = cli("schema", kind).good()
    schema = json.loads(said.out)
    assert schema["additionalProperties"] is False
    assert all(field["description"] for field in schema["properties"].values())
    golden(f"schema/{kind}.json", said.out)


def test_version(cli: Cli) -> None:
    assert cli("--version").good().out == f"tunesmith {__version__}\n"


def test_the_help_fits_any_terminal(cli: Cli) -> None:
    assert cli("train", "--help", COLUMNS="20").good().out
    assert cli("train", "--help", LC_ALL="C", PYTHONIOENCODING="ascii:replace").good().out


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["train"],
        ["train", "a.csv", "--epoch", "3"],
        ["train", "a.csv", "--epochs", "many"],
        ["train", "a.csv", "--set", "epochs"],
        ["train", "a.csv", "b.csv"],
        ["predict", "run", "--top", "0", "text"],
        ["predict", "run", "--file", "a.csv"],
        ["predict", "run", "--out", "a.csv"],
        ["predict", "run", "--resume", "text"],
        ["predict", "run", "text", "--file", "a.csv", "--out", "b.csv"],
        ["schema", "model"],
        ["tune", "a.csv", "--trials", "0"],
        ["tune", "a.csv", "--pruner", "best"],
        ["serve", "run", "--port", "70000"],
        ["studio"],
        ["studio", "backup", "studio"],
        ["studio", "restore", "backup", "studio", "more"],
        ["pretrain", "a.txt", "--out", "base", "--size", "huge"],
        ["pretrain", "a.txt", "--out", "base", "--precision", "fp8"],
        ["pretrain", "a.txt", "--out", "base", "--learning-rate", "nan"],
        ["pretrain", "a.txt", "--out", "base", "--seed", "-1"],
        *(["pretrain", f"a.txt={share}", "--out", "base"] for share in ("x", "0", "-1", "nan", "inf", "")),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_told_with_exit_code_2(cli: Cli, words: list[str], tmp_path: Path) -> None:
    said = cli(*words)
    assert said.code == 2
    assert "Usage: tunesmith" in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []
