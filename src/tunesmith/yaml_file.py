"""YAML that people write: safe types only, and every key knows its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunesmith.errors import ConfigError, Problem
from tunesmith.files import storage_errors

__all__ = ["YamlDocument", "read_yaml", "yaml_value"]

# YAML 1.1 would read the label `no` as false, `010` as 8, `1.50` as 1.5 and 2026-13-45 as an error;
# as text they stay what they are, and pydantic reads numbers from text where numbers are due
_KEPT_AS_TEXT = frozenset({"bool", "float", "int", "timestamp"})
# ValueError: bytes that are not UTF-8, and explicit tags that do not fit, such as `!!int x`
_YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError)


class _Loader(yaml.SafeLoader):
    """Of plain scalars, only null and whole numbers without leading zeros are more than text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _KEPT_AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"(0|-?[1-9][0-9]*)$"), list("-0123456789"))


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def yaml_value(text: str) -> Any:
    """What `text` says as YAML, such as a number or a list; the text itself where it is no YAML."""
    try:
        return _parsed(text)[1]
    except _YAML_ERRORS:
        return text


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """What a YAML file says, and the line of every key and list item (1-based)."""

    path: Path
    values: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]

    def where(self, key: tuple[str | int, ...]) -> str:
        """`path:line` of the deepest part of `key` that the file holds."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return f"{self.path}:{self.lines[key[:length]]}"
        return f"{self.path}:1"


def read_yaml(path: Path) -> YamlDocument:
    """Read a YAML mapping with safe types only; raise ConfigError with the line otherwise."""
    with storage_errors(path):
        data = path.read_bytes()
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        node, values = _parsed(data.decode("utf-8-sig"))
        _note_lines(node, (), lines)
    except _YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1 if mark else 1}"
        what = str(getattr(error, "problem", None) or error or "this is not YAML")
        raise ConfigError(Problem("bad-yaml", what, where, "mend the YAML there")) from error
    if not isinstance(values, dict):
        fix = "write `key: value` lines, as `tunesmith init` does"
        raise ConfigError(Problem("bad-yaml", "the file is not a mapping", f"{path}:1", fix))
    return YamlDocument(path, values, lines)


def _note_lines(
    node: yaml.Node | None, key: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> None:
    match node:
        case yaml.MappingNode():
            for name, child in node.value:
                lines[(*key, name.value)] = name.start_mark.line + 1
                _note_lines(child, (*key, name.value), lines)
        case yaml.SequenceNode():
            for index, child in enumerate(node.value):
                lines[(*key, index)] = child.start_mark.line + 1
                _note_lines(child, (*key, index), lines)
