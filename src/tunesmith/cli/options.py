"""Options that several verbs share, and values from the command line -> Recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tunesmith.recipe import Recipe
    from tunesmith.task import Kind

__all__ = [
    "AsJson",
    "Base",
    "EngineName",
    "EngineOption",
    "GroupColumn",
    "Host",
    "KeysFile",
    "KindName",
    "LabelColumn",
    "LabelKind",
    "MinConfidence",
    "ModelPath",
    "Overwrite",
    "Port",
    "Resume",
    "SliceColumn",
    "TaskFile",
    "TestSet",
    "TextColumn",
    "TimeColumn",
    "TlsCert",
    "TlsKey",
    "TrainingData",
    "ValidationSet",
    "kind_from",
    "recipe_from",
    "with_searches",
]

# `readable=False`, here and elsewhere: a path that may not be read is told by whoever opens it
ModelPath = Annotated[Path, typer.Argument(help="A run, or its model directory.", readable=False)]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        help="The column that holds the text, the prompt or the messages.",
        show_default="inferred",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column", help="The column that holds the label or the completion.", show_default="inferred"
    ),
]


Host = Annotated[str, typer.Option(help="The address to listen on; others than loopback need a key.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any free one.")]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        help="A file of keys, as `tunesmith keys` writes it; else what TUNESMITH_KEYS_FILE says.",
        readable=False,
        show_default=False,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(help="Answer HTTPS only, with this certificate.", readable=False, show_default=False),
]
TlsKey = Annotated[
    Path | None, typer.Option(help="The private key of --tls-cert.", readable=False, show_default=False)
]


MinConfidence = Annotated[
    float,
    typer.Option(min=0, max=1, help="Give no label where the likeliest is less likely; one label a text."),
]


class EngineName(StrEnum):
    """The engines as they are typed."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    INT8 = "onnx-int8"
    ADAPTER = "adapter"


EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What computes: torch, or an export of the run. `auto`: the quicker of `torch` and `onnx` here; "
        "`adapter`: torch, with the base apart, so that several models hold it once.",
    ),
]


class KindName(StrEnum):
    """The kinds of a task as they are typed."""

    SINGLE = "single-label"
    MULTI = "multi-label"
    COMPLETION = "completion"
    CHAT = "chat"
    PREFERENCE = "preference"


LabelKind = Annotated[
    KindName | None,
    typer.Option(
        "--kind",
        help="What is learned: one label or any number (`single-label`, `multi-label`), or text to be "
        "written (`completion`, `chat`; `preference`, of two answers each).",
        show_default="inferred",
        metavar="KIND",
    ),
]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        "--task", help="A task.yaml, as `tunesmith init` writes it.", show_default=False, readable=False
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what was stopped.")]
SliceColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--slice-column",
        help="Also score the test rows of each value of this column; repeat.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def kind_from(name: KindName | None) -> Kind | None:
    """What `--kind` names, None where it is left out."""
    match name:
        case KindName.SINGLE:
            return "single_label"
        case KindName.MULTI:
            return "multi_label"
        case KindName.COMPLETION:
            return "completion"
        case KindName.CHAT:
            return "chat"
        case KindName.PREFERENCE:
            return "preference"
        case None:
            return None


TrainingData = Annotated[
    Path | None,
    typer.Argument(
        help="CSV, TSV, JSONL, JSON, Parquet, Excel, a folder per class, …",
        readable=False,
        show_default=False,
    ),
]
TestSet = Annotated[
    Path | None,
    typer.Option(help="The test set; else split off DATA.", show_default=False, readable=False),
]
ValidationSet = Annotated[
    Path | None,
    typer.Option(help="The validation set; else split off DATA.", show_default=False, readable=False),
]
Base = Annotated[
    str | None,
    typer.Option(
        help="Where to start: `embedded`, a directory, or a hub name such as `openai-community/gpt2`.",
        show_default="embedded",
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        help="Rows with the same value in this column stay together in a split: an author, a case.",
        show_default=False,
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        help="The latest rows by this column are the test, those before them the validation.",
        show_default=False,
    ),
]


def recipe_from(file: Path | None, flags: dict[str, Any], settings: list[str]) -> Recipe:
    """The recipe of `file`, then `flags` that were given, then `--set key=value`; all faults at once."""
    from tunesmith.config import parse_values, read_config
    from tunesmith.recipe import Recipe

    recipe = read_config(file, Recipe) if file else Recipe()
    given = {name: value for name, value in flags.items() if value is not None}
    changes = {**given, **_parsed(settings)}
    unset = recipe.model_dump(exclude_defaults=True)
    return parse_values({**unset, **changes}, Recipe, where="--set" if settings else "the command line")


def _parsed(settings: list[str]) -> dict[str, Any]:
    from tunesmith.yaml_file import yaml_value

    return {key: yaml_value(value) for key, value in _pairs("--set", settings).items()}


def with_searches(recipe: Recipe, searches: list[str]) -> Recipe:
    """The recipe with what `--search key=range` adds to its `search`; a key alone has its declared range."""
    from tunesmith.config import parse_values
    from tunesmith.ranges import AS_DECLARED

    said = _pairs("--search", [one if "=" in one else f"{one}={AS_DECLARED}" for one in searches])
    values = recipe.model_dump(exclude_defaults=True) | {"search": {**recipe.search, **said}}
    return parse_values(values, type(recipe), where="--search")


def _pairs(option: str, settings: list[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    faulty = [key + sign for key, sign, _ in pairs if not (key and sign)]
    if faulty:
        raise typer.BadParameter(f"write {option} key=value, not {', '.join(faulty)}")
    return {key: value for key, _, value in pairs}
