"""`tunesmith studio`: fine-tuning behind OpenAI's API, on this machine; and all of it in a backup."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand

from tunesmith.cli.boundary import error_console, show_problems, verb
from tunesmith.cli.options import Host, KeysFile, Port, TlsCert, TlsKey
from tunesmith.cli.output import console

if TYPE_CHECKING:
    from tunesmith.studio.backup.manifest import Manifest, OnBytes

__all__ = ["Serving", "backup", "command", "restore"]

_beside = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COUNTED = ("file", "job", "model")
Config = Annotated[
    Path | None,
    typer.Option(
        help="What the studio offers, and its limits.",
        readable=False,
        show_default="DIR/studio.yaml, where there is one",
    ),
]


class Serving(TyperCommand):
    """Serves, unless the first word is one of `commands`; a directory of that name is written `./backup`."""

    @property
    def commands(self) -> dict[str, Any]:
        """What is done beside serving, by its name."""
        return dict(typer.main.get_command(_beside).commands)  # type: ignore[attr-defined]

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **extra: Any) -> Any:
        """Read the command line, or let the command read it that it names."""
        if args and (named := self.commands.get(args[0])) is not None:
            return named.make_context(f"{info_name} {args[0]}", args[1:], *others, **extra)
        return super().make_context(info_name, args, *others, **extra)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the options of serving, and then the commands."""
        from rich.panel import Panel
        from rich.table import Table

        super().format_help(ctx, formatter)
        table = Table.grid(padding=(0, 2))
        for name, each in self.commands.items():
            table.add_row(f"[bold]{name}[/]", str(each.help).splitlines()[0])
        console.print(Panel(table, title="Commands", title_align="left", border_style="dim"))


@verb("studio")
def command(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Where files, jobs and models are kept; made where it is missing.",
            metavar="DIR",
            show_default=False,
        ),
    ],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    config: Config = None,
    keys: KeysFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Serve OpenAI's fine-tuning API from a directory: files, jobs and models, all on this machine.

    Any client of that API works when its base URL is http://127.0.0.1:8000/v1. Each key sees the files,
    jobs and models of its project only.

    Example: [bold]tunesmith studio studio --port 8080[/]
    """
    from tunesmith.api.settings import read_settings
    from tunesmith.studio.serving import serve_studio

    settings = read_settings(os.environ, keys_file=keys, tls_cert=tls_cert, tls_key=tls_key)
    serve_studio(directory, host=host, port=port, settings=settings, config_file=config)


@_beside.command("backup")
@verb("studio backup")
def backup(
    directory: Annotated[
        Path, typer.Argument(help="The directory of the studio.", metavar="DIR", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Argument(help="Where the backup is written; not there yet.", metavar="OUT", show_default=False),
    ],
    config: Config = None,
) -> None:
    """Write all that a studio keeps into one new directory, while it is served or not.

    Files, jobs, models and checkpoints are those of one moment, whatever goes on meanwhile. The directory
    is there whole or not at all.

    Example: [bold]tunesmith studio backup studio backups/monday[/]
    """
    from tunesmith.studio.serving import Setup, require_studio

    require_studio()
    from tunesmith.studio.backup.taking import back_up
    from tunesmith.studio.config import config_in

    setup = Setup(directory, *config_in(directory, config))
    with _stopped("stopped; there is no backup"), _bar() as on_bytes:
        done = back_up(setup, out, on_bytes)
    show_problems(done.problems)
    error_console.print(f"  wrote {out}: {_said(done.manifest)}", markup=False)


@_beside.command("restore")
@verb("studio restore")
def restore(
    backup: Annotated[
        Path,
        typer.Argument(
            help="A directory that `tunesmith studio backup` wrote.", metavar="OUT", show_default=False
        ),
    ],
    directory: Annotated[
        Path,
        typer.Argument(
            help="The directory of the new studio; made where it is missing.",
            metavar="DIR",
            show_default=False,
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="What the studio offers, and its limits.",
            readable=False,
            show_default="DIR/studio.yaml, else that of the backup",
        ),
    ] = None,
) -> None:
    """Make a studio of a backup, where there is none yet; serve it only afterwards.

    The whole backup is checked first. A restore that was stopped is begun again by the same command.

    Example: [bold]tunesmith studio restore backups/monday studio[/]
    """
    from tunesmith.studio.serving import require_studio

    require_studio()
    from tunesmith.studio.backup.restoring import restore as restored_from

    with _stopped("stopped; the same command begins again"), _bar() as on_bytes:
        done = restored_from(backup, directory, config, on_bytes)
    for name in done.kept:
        error_console.print(f"  {directory / name} was there already and stays as it is", markup=False)
    error_console.print(f"  restored {directory}: {_said(done.manifest)}", markup=False)


def _said(manifest: Manifest) -> str:
    """What a backup holds, and of when it is."""
    rows = manifest.tables
    counts = ", ".join(f"{rows[f'{name}s']:,} {name}{'s' * (rows[f'{name}s'] != 1)}" for name in _COUNTED)
    size = decimal(sum(entry.bytes for entry in manifest.files.values()))
    return f"{counts}, {size}, as of {datetime.fromtimestamp(manifest.created_at, UTC):%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _bar() -> Iterator[OnBytes]:
    """A bar of bytes that starts anew with each thing that is done."""
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    hidden = not error_console.is_terminal
    with Progress(*columns, console=error_console, transient=True, disable=hidden) as progress:
        tasks: dict[str, TaskID] = {}

        def on_bytes(said: str, done: int, total: int) -> None:
            if said not in tasks:
                tasks[said] = progress.add_task(said)
            progress.update(tasks[said], completed=done, total=total)

        yield on_bytes


@contextmanager
def _stopped(said: str) -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that nothing is left; and say what there is then."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(said) from None
    finally:
        signal.signal(signal.SIGTERM, before)
