"""`tunesmith import-openai`: what was fine-tuned at OpenAI, fine-tuned here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, Overwrite
from tunesmith.cli.output import console, print_json

if TYPE_CHECKING:
    from tunesmith.studio.leaving.plan import Plan

__all__ = ["command"]


@verb("import-openai")
def command(
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            help="The training file: chats, prompts with completions, or preferences.",
            readable=False,
            show_default=False,
        ),
    ],
    validation: Annotated[
        Path | None, typer.Option(help="The validation file.", readable=False, show_default=False)
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="The CSV of the job at OpenAI, to see what it came to.", readable=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The base to fine-tune: of a studio one that it offers.",
            show_default="embedded, or the first",
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="Becomes part of the name of the model.", show_default=False)
    ] = None,
    studio: Annotated[
        str | None,
        typer.Option(help="The address of a studio that is to train.", metavar="URL", show_default=False),
    ] = None,
    start: Annotated[
        bool, typer.Option("--start", help="Send the files to the studio and start the job.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="TUNESMITH_STUDIO_KEY",
            help="The key of the studio; better in TUNESMITH_STUDIO_KEY, where nobody sees it.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write task.yaml and recipe.yaml for `tunesmith train` here.",
            metavar="DIR",
            readable=False,
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Check files that were fine-tuned on at OpenAI, and train the same here: in a studio or on its own.

    No file is sent without --start.

    Example: [bold]tunesmith import-openai --file export.jsonl --studio http://127.0.0.1:8000 --start[/]
    """
    if start and studio is None:
        raise typer.BadParameter("needs --studio", param_hint="--start")
    from tunesmith.model.base import load_reader
    from tunesmith.model.encode import count_tokens
    from tunesmith.studio.leaving.export import read_export
    from tunesmith.studio.leaving.plan import chosen_base, planned
    from tunesmith.studio.leaving.remote import RemoteStudio
    from tunesmith.studio.leaving.results_file import last_figures

    remote = RemoteStudio(studio, key) if studio else None
    figures = last_figures(results) if results else {}
    # which tokenizer a base of a studio has is not known here
    tokenizer = load_reader("embedded" if remote else model or "embedded").tokenizer
    export = read_export(file, validation, lambda texts: count_tokens(tokenizer, texts))
    plan = planned(export, chosen_base(model, remote), suffix)
    if out:
        plan.write(out, overwrite=overwrite)
    job = plan.start(remote) if remote and start else None
    if as_json:
        print_json(_found(plan, figures) | {"job": job})
        return
    for name, value in _found(plan, figures).items():
        console.print(f"  [dim]{name:<12}[/] {escape(_words(value))}", soft_wrap=True)
    _say_next(plan, studio, job, out)


def _found(plan: Plan, figures: Mapping[str, float]) -> dict[str, Any]:
    export = plan.export
    return {
        "file": str(export.training),
        "kind": export.kind,
        "form": export.form,
        "examples": export.examples,
        "validation": export.validation_examples,
        "tokens": export.tokens,
        "labels": list(export.labels),
        "results": dict(figures),
        **plan.to_dict(),
    }


def _words(value: Any) -> str:
    if value in (None, [], {}):
        return "—"
    match value:
        case {"hyperparameters": dict() as numbers}:
            return _words(numbers)
        case dict():
            return ", ".join(f"{name} {number:,g}" for name, number in value.items())
        case list():
            return ", ".join(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _say_next(plan: Plan, studio: str | None, job: str | None, out: Path | None) -> None:
    if job:
        error_console.print(f"  the job {job} has begun; it answers at {studio}", markup=False)
    elif studio:
        error_console.print("  nothing was sent; add --start to start the job", markup=False)
    if out:
        words = ["tunesmith", "train", str(plan.export.training)]
        words += ["--test", str(plan.export.validation)] if plan.export.validation else []
        words += ["--task", str(out / "task.yaml"), "--recipe", str(out / "recipe.yaml")]
        error_console.print(f"  wrote {out}; train with:\n  {shlex.join(words)}", markup=False)
    elif not studio:
        error_console.print("  train it with --studio URL --start, or with --out DIR", markup=False)
