"""The file of keys: only hashes, only its owner's, and every fault of it at once."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.api.conftest import KEY
from tunesmith.api.keys import add_key, key_hash, read_keys, remove_key
from tunesmith.errors import ConfigError, StorageError

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def test_only_the_hash_is_kept_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "own" / "keys.json"
    old_mask = os.umask(0)
    try:
        key = add_key(path, "alice", now=NOW, texts_per_minute=100)
    finally:
        os.umask(old_mask)
    assert len(key) * 6 >= 128
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == [
        {"name": "alice", "sha256": key_hash(key), "made": "2026-03-01T12:30:00Z", "texts_per_minute": 100}
    ]


def test_keys_are_added_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = {name: add_key(path, name, now=NOW) for name in ("alice", "bob")}
    assert len(set(keys.values())) == 2
    remove_key(path, "alice")
    (left,) = read_keys(path)
    assert (left.name, left.sha256, left.made) == ("bob", key_hash(keys["bob"]), NOW)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_are_added_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    names = [f"key-{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add_key(path, name, now=NOW), names))
    assert sorted(key.name for key in read_keys(path)) == sorted(names)


def codes(caught: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [problem.code for problem in caught.value.problems]


def test_a_name_stands_for_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "alice", now=NOW)
    before = path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        add_key(path, "alice", now=NOW)
    assert codes(caught) == ["key-exists"]
    with pytest.raises(ConfigError) as caught:
        remove_key(path, "bob")
    assert codes(caught) == ["no-key"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["", "a b", "line\nbreak", "-", "x" * 65, "environment", "käthe", "a\x1b[1m"]
)
def test_a_name_that_no_log_should_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        add_key(tmp_path / "keys.json", name, now=NOW)
    assert codes(caught) == ["bad-keys"]
    assert list(tmp_path.iterdir()) == []


def test_all_faults_of_a_file_are_told_and_no_value_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    good = {"name": "alice", "sha256": "0" * 64, "made": "2026-03-01T12:30:00Z"}
    path.write_text(
        json.dumps(
            [good, good, {**good, "name": "b", "sha256": KEY}, {**good, "key": KEY}, KEY, {**good, "made": 1}]
        )
    )
    with pytest.raises(ConfigError) as caught:
        read_keys(path)
    told = str(caught.value)
    assert set(codes(caught)) == {"bad-keys"}
    for place in ("key 3", "key 4", "key 5", "twice"):
        assert place in told
    assert KEY not in told


@pytest.mark.parametrize(("content", "code"), [("{}", "bad-keys"), ("[", "bad-json")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, code: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_keys(tmp_path / "keys.json")
    assert codes(caught) == [code]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no-file"):
        remove_key(tmp_path / "keys.json", "alice")
