from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import ConfigError
from tunesmith.yaml_file import read_yaml, yaml_value


def test_yaml_knows_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("# a comment\nkind: x\nlabels:\n  - a\n  - b\n")
    document = read_yaml(path)
    assert document.values == {"kind": "x", "labels": ["a", "b"]}
    assert document.where(("labels", 1)) == f"{path}:5"
    assert document.where(("labels", 1, "deeper")) == f"{path}:5"
    assert document.where(("absent",)) == f"{path}:1"


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- a\n- b\n",
        "",
        "a: !!python/object:os.system x",
        "a: !!timestamp 2026-13-45",
        "a: !!int x",
        "? [a]\n: 1",
        "a: &a [*a",
        "a: " + "[" * 3000,
        "a: " + "[" * 3000 + "]" * 3000,
    ],
)
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"task\.yaml:\d"):
        read_yaml(path)


def test_bytes_that_are_no_utf8_are_told(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(b"a: caf\xe9")
    with pytest.raises(ConfigError, match=r"task\.yaml:1"):
        read_yaml(path)


def test_labels_stay_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    labels = ["no", "yes", "on", "true", "007", "1.50", "1e3", "2026-13-45", "0x1f", "1_000", "+5", "12:30"]
    path.write_text("labels:\n" + "".join(f"  - {label}\n" for label in labels))
    assert read_yaml(path).values["labels"] == labels


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-20", -20),
        ("0", 0),
        ("1e-4", "1e-4"),
        ("null", None),
        ("~", None),
        ("[1, a]", [1, "a"]),
        ("a: [", "a: ["),
        ("@", "@"),
        ("", None),
        ("\0", "\0"),
    ],
)
def test_values_that_stand_alone(text: str, value: object) -> None:
    assert yaml_value(text) == value
