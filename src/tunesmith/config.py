"""Files that people write -> frozen pydantic models, with every fault at its line, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import ConfigError, Problem
from tunesmith.files import write_text
from tunesmith.yaml_file import read_yaml

__all__ = ["Config", "as_commented_yaml", "as_yaml", "parse_values", "read_config", "write_config"]


class Config(BaseModel):
    """What Task and Recipe share: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


ConfigT = TypeVar("ConfigT", bound=Config)
Where = Callable[[tuple[str | int, ...]], str]


def read_config(path: Path, kind: type[ConfigT]) -> ConfigT:
    """Read and validate a YAML file; raise ConfigError with all its faults and their lines."""
    document = read_yaml(path)
    return _validated(document.values, kind, document.where)


def parse_values(values: Mapping[str, Any], kind: type[ConfigT], where: str) -> ConfigT:
    """Validate values that stand in no file; `where` says in errors what they came from."""
    return _validated(values, kind, lambda _key: where)


def _validated(values: Mapping[str, Any], kind: type[ConfigT], where: Where) -> ConfigT:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError([_as_problem(dict(fault), where, kind) for fault in error.errors()]) from error


def _as_problem(fault: dict[str, Any], where: Where, kind: type[Config]) -> Problem:
    key = tuple(fault["loc"])
    name = ".".join(str(part) for part in key) or kind.__name__
    if fault["type"] == "extra_forbidden":
        return _unknown_key(str(key[-1]), where(key), kind)
    what = f"`{name}`: {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] != "missing":
        what += f"; it is {fault['input']!r}"
    fix = f"see `tunesmith schema {kind.__name__.lower()}` for what `{name}` may be"
    return Problem("bad-value", what, where(key), fix)


def _unknown_key(key: str, where: str, kind: type[Config]) -> Problem:
    near = difflib.get_close_matches(key, kind.model_fields, n=1)
    known = ", ".join(kind.model_fields)
    fix = f"did you mean `{near[0]}`?" if near else f"the keys are: {known}"
    return Problem("unknown-key", f"`{key}` is not a key of a {kind.__name__.lower()}", where, fix)


def as_yaml(config: Config, *, only_said: bool = False) -> str:
    """The config as plain YAML, in the order of its fields; of these `only_said` keeps what was given."""
    values = config.model_dump(mode="json", exclude_unset=only_said)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def as_commented_yaml(config: Config) -> str:
    """The config as YAML, every key under what it means."""
    parts = []
    for name, field in type(config).model_fields.items():
        value = config.model_dump(mode="json", include={name})
        meaning = indent(field.description or "", "# ", lambda _line: True)
        parts.append(f"{meaning}\n{yaml.safe_dump(value, allow_unicode=True, width=100)}")
    return "\n".join(parts)


def write_config(path: Path, config: Config, *, only_said: bool = False) -> None:
    """Write the config as `as_yaml` makes it, atomically."""
    write_text(path, as_yaml(config, only_said=only_said))
