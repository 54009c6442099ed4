from __future__ import annotations

import errno
import math
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tunesmith.errors import ConfigError, StorageError
from tunesmith.files import (
    atomic_file,
    read_json,
    refuse_existing,
    sha256_bytes,
    sha256_file,
    staged_directory,
    storage_errors,
    sweep,
    write_json,
    write_text,
)


def test_an_atomic_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "first")
    with pytest.raises(RuntimeError), atomic_file(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_a_staged_directory_replaces_the_old_one_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with staged_directory(path) as directory:
        (directory / "a").write_text("1")
    with pytest.raises(KeyboardInterrupt), staged_directory(path, overwrite=True) as directory:
        (directory / "a").write_text("2")
        raise KeyboardInterrupt
    assert (path / "a").read_text() == "1"
    with staged_directory(path, overwrite=True) as directory:
        (directory / "b").write_text("3")
    assert [child.name for child in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_may_read_the_directory_may_read_its_files(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "model") as directory:
        (directory / "a").write_text("1")
        (directory / "a").chmod(0o600)
    mode = (tmp_path / "model").stat().st_mode
    assert (tmp_path / "model" / "a").stat().st_mode & 0o777 == mode & 0o666


def test_a_name_that_no_system_takes_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="storage"):
        refuse_existing(tmp_path / ("x" * 300), overwrite=False)


def test_what_exists_is_refused(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "absent", overwrite=False)
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty", overwrite=False)
    write_text(tmp_path / "full" / "a", "x")
    refuse_existing(tmp_path / "full", overwrite=True)
    with pytest.raises(StorageError, match="--overwrite"):
        refuse_existing(tmp_path / "full", overwrite=False)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EACCES, "no-permission"),
        (errno.ENOENT, "no-file"),
        (errno.EIO, "storage"),
    ],
)
def test_what_the_system_refuses_is_told(tmp_path: Path, number: int, code: str) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        raise OSError(number, "reason")
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_broken_pipe_is_no_fault_of_a_path(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), storage_errors(tmp_path):
        raise BrokenPipeError


def test_what_killed_writers_left_is_nothing_and_is_swept(tmp_path: Path) -> None:
    for name in (".a.0123abcd.tmp", ".a.0123abcd.old", ".b.0123abcd.old"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".c.0123abcd.tmp").mkdir()
    refuse_existing(tmp_path, overwrite=False)
    (tmp_path / "a").write_text("new")
    (tmp_path / ".b.tmp").write_text("mine")
    with pytest.raises(StorageError):
        refuse_existing(tmp_path, overwrite=False)
    sweep(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "new",
        # killed between the two renames of a replacement: the old is put back
        "b": ".b.0123abcd.old",
        ".b.tmp": "mine",
    }
    sweep(tmp_path / "absent")


def test_json_round_trip_and_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ä": [1, None]})
    assert read_json(path) == {"ä": [1, None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, math.nan)
    assert read_json(path) == {"ä": [1, None]}


@pytest.mark.parametrize(
    ("data", "where"),
    [(b'{\n"a": }', "2"), (b"", "1"), (b"\xff", "1"), (b"[" * 100_000, "1"), (b"9" * 5000, "1")],
)
def test_what_is_no_json_is_refused_with_its_line(tmp_path: Path, data: bytes, where: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=rf"a\.json:{where}"):
        read_json(path)


def test_hashes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_file(path) == sha256_bytes(b"abc")
    assert sha256_bytes(b"abc").startswith("ba7816bf")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which only Linux has")
def test_what_tokenizers_tells_of_the_system_in_words_is_understood(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0}, "a"))
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        tokenizer.save("/dev/full")
    assert caught.value.problems[0].code == "disk-full"
    with pytest.raises(RuntimeError), storage_errors(tmp_path):
        raise RuntimeError("os error 28, as somebody else tells it")
