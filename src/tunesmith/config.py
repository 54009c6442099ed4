"""Files that people write -> frozen pydantic models, with every fault at its line, all at once."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import ConfigError, Problem
from tunesmith.files import YamlDocument, read_yaml, write_text

__all__ = ["Config", "as_yaml", "parse_config", "read_config", "write_config"]


class Config(BaseModel):
    """What Task and Recipe share: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


ConfigT = TypeVar("ConfigT", bound=Config)


def read_config(path: Path, kind: type[ConfigT]) -> ConfigT:
    """Read and validate a YAML file; raise ConfigError with all its faults and their lines."""
    return parse_config(read_yaml(path), kind)


def parse_config(document: YamlDocument, kind: type[ConfigT]) -> ConfigT:
    """Validate an already read document; see `read_config`."""
    try:
        return kind.model_validate(document.values)
    except ValidationError as error:
        problems = [_as_problem(dict(fault), document, kind) for fault in error.errors()]
        raise ConfigError(problems) from error


def _as_problem(fault: dict[str, Any], document: YamlDocument, kind: type[Config]) -> Problem:
    key = tuple(fault["loc"])
    name = ".".join(str(part) for part in key) or kind.__name__
    if fault["type"] == "extra_forbidden":
        return _unknown_key(str(key[-1]), document.where(key), kind)
    what = f"`{name}`: {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] != "missing":
        what += f", but the file says {fault['input']!r}"
    fix = f"see `tunesmith schema {kind.__name__.lower()}` for what `{name}` may be"
    return Problem("bad-value", what, document.where(key), fix)


def _unknown_key(key: str, where: str, kind: type[Config]) -> Problem:
    near = difflib.get_close_matches(key, kind.model_fields, n=1)
    known = ", ".join(kind.model_fields)
    fix = f"did you mean `{near[0]}`?" if near else f"the keys are: {known}"
    return Problem("unknown-key", f"`{key}` is not a key of a {kind.__name__.lower()}", where, fix)


def as_yaml(config: Config) -> str:
    """The config as plain YAML, in the order of its fields."""
    values = config.model_dump(mode="json")
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def write_config(path: Path, config: Config) -> None:
    """Write the config as YAML, atomically."""
    write_text(path, as_yaml(config))
