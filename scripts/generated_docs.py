"""The parts of the documentation that are made from the code: keys, verbs, settings, HTTP statuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["MAKERS", "fields", "metrics", "ranges", "renewed", "statuses", "verbs"]

_KINDS = {
    "boolean": "`true`, `false`",
    "object": "keys of its own",
    "array": "list of texts",
    "integer": "whole number",
    "string": "text",
}
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ([cell.replace("|", "\\|") for cell in cells] for cells in (head, ["---"] * len(head), *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fields(config: Any, prefix: str = "") -> str:
    """A table of the keys of a pydantic model; `prefix` makes environment variables of them."""
    schema = config.model_json_schema()["properties"]
    rows = []
    for name, field in config.model_fields.items():
        key = prefix + name.upper() if prefix else name
        default = "required" if field.is_required() else _default(schema[name].get("default"))
        rows.append((f"`{key}`", _values(schema[name]), default, field.description))
    return _table(("key", "values", "default", "meaning"), rows)


def _values(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_values(part) for part in schema["anyOf"])
    if "$ref" in schema:
        return "keys of its own"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    limits = ", ".join(f"{sign} {schema[key]:,}" for key, sign in _BOUNDS if key in schema)
    return f"{_KINDS.get(schema['type'], schema['type'])} {limits}".strip()


def _default(value: object) -> str:
    match value:
        case None:
            return "`null`"
        case [] | "":
            return "none"
        case dict() if not value:
            return "none"
        case _:
            return f"`{value}`"


def settings() -> str:
    """A table of the server's environment variables."""
    from tunesmith.api.settings import Settings

    return fields(Settings, prefix="TUNESMITH_").replace(" or null", "").replace("`null`", "none")


def statuses() -> str:
    """A table of HTTP statuses and their error codes."""
    from tunesmith.api.refusal import STATUS

    linked = {code: f"[{code}](errors.md#{code})" for code in STATUS}
    rows = [
        (str(status), ", ".join(linked[code] for code in STATUS if STATUS[code] == status))
        for status in sorted(set(STATUS.values()))
    ]
    return _table(("status", "codes"), rows)


def metrics() -> str:
    """A table of what Prometheus is told."""
    from tunesmith.api.metrics import Metrics

    rows = [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.meaning)
        for metric in Metrics().declared
    ]
    return _table(("metric", "kind", "labels", "meaning"), rows)


def verbs() -> str:
    """A section for every verb of the command line."""
    from typer.main import get_command

    from tunesmith.cli.main import app

    group: Any = get_command(app)
    return "\n\n".join(_verb(name, command) for name, command in _named(group.commands))


def _named(commands: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each command, and behind it those that it has."""
    for name, command in commands.items():
        yield name, command
        yield from ((f"{name} {each}", sub) for each, sub in getattr(command, "commands", {}).items())


def _verb(name: str, command: Any) -> str:
    examples = "\n".join(re.findall(r"Example: \[bold\](.+?)\[/\]", command.help))
    meaning = re.sub(r" *\n(?!\n) *", " ", command.help.split("\n\nExample:")[0].replace("\n\n", "\0"))
    rows = [_parameter(parameter) for parameter in command.params]
    table = _table(("argument or option", "meaning", "default"), rows)
    parts = [f"## {name}", *meaning.split("\0"), f"```sh\n{examples}\n```", table]
    return "\n\n".join(parts)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    is_argument = parameter.param_type_name == "argument"
    name = (parameter.metavar or parameter.name.upper()) if is_argument else parameter.opts[0]
    return f"`{name}`", parameter.help, _parameter_default(parameter)


def _parameter_default(parameter: Any) -> str:
    match parameter.show_default, parameter.default:
        case str() as told, _:
            return told
        case _, False:
            return "off"
        case _, value if not parameter.required:
            return "" if value is None else str(value)
        case _:
            return "required"


Makers = Mapping[str, Callable[[], str]]


def _task() -> str:
    from tunesmith.task import Task

    return fields(Task)


def _recipe() -> str:
    from tunesmith.recipe import Recipe

    return fields(Recipe)


def _bar() -> str:
    from tunesmith.bar import Bar

    return fields(Bar)


def _adapt() -> str:
    from tunesmith.recipe import Adapt

    return fields(Adapt)


def _studio() -> str:
    from tunesmith.studio.config import StudioConfig

    return fields(StudioConfig)


def ranges() -> str:
    """A table of what a search draws."""
    from tunesmith.ranges import Around, Range, declared, shown
    from tunesmith.recipe import Recipe

    rows = []
    for name, search in declared(Recipe).items():
        scale = (
            "logarithmic" if isinstance(search, Around) or (isinstance(search, Range) and search.log) else ""
        )
        rows.append((f"`{name}`", shown(search), scale, "yes" if search.unasked else "with `--search`"))
    return _table(("key", "range", "scale", "searched"), rows)


MAKERS: Mapping[str, Makers] = {
    "docs/bases.md": {"adapt": _adapt},
    "docs/command-line.md": {"verbs": verbs},
    "docs/serving.md": {"metrics": metrics, "settings": settings, "statuses": statuses},
    "docs/studio.md": {"studio": _studio},
    "docs/tuning.md": {"ranges": ranges},
    "docs/task-and-recipe.md": {"task": _task, "bar": _bar, "recipe": _recipe},
}
"""page -> its generated parts, each between `<!-- name:begin -->` and `<!-- name:end -->`."""


def renewed(text: str, parts: Makers) -> str:
    """The page with every generated part made anew; raise ValueError where its markers are missing."""
    for name, make in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if begin not in text or end not in text:
            raise ValueError(f"the markers of the generated part {name!r} are missing")
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n\n{make()}\n\n{end}{rest.split(end, 1)[1]}"
    return text
