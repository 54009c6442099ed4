"""Blobs: whole or absent, here and far away."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tunesmith.errors import StorageError
from tunesmith.studio.blobs import Blobs, blobs_at

_WRITES = """
import sys
from pathlib import Path
from tunesmith.studio.blobs import blobs_at
with blobs_at(sys.argv[1], Path(sys.argv[2])).writing("files/file-1") as stream:
    stream.write(b"x")
"""


@pytest.fixture(params=["here", "far", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory, the same as an address, and a bucket."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}"
    return f"{tmp_path}/blobs" if request.param == "here" else f"file://{tmp_path}/blobs"


@pytest.fixture
def blobs(place: str, tmp_path: Path) -> Blobs:
    return blobs_at(place, tmp_path / "cache")


def test_what_another_machine_writes_is_seen_at_once(blobs: Blobs, place: str, tmp_path: Path) -> None:
    with blobs.writing("files/file-0") as stream:
        stream.write(b"xx")
    assert [name for name, _ in blobs.names()] == ["files/file-0"]
    subprocess.run([sys.executable, "-c", _WRITES, place, str(tmp_path / "other")], check=True)
    assert sorted(name for name, _ in blobs.names()) == ["files/file-0", "files/file-1"]
    assert blobs.files_in("files/file-1") == {"": 1}


def test_lines_are_read_up_to_a_length(blobs: Blobs) -> None:
    with blobs.writing("files/file-1") as stream:
        stream.write(b"one\n" + b"x" * 3_000_000)
    with blobs.open("files/file-1") as stream:
        assert [stream.readline(5), stream.readline(5), len(stream.readline(4_000_000))] == [
            b"one\n",
            b"xxxxx",
            2_999_995,
        ]


def test_what_is_written_is_read(blobs: Blobs) -> None:
    with blobs.writing("files/file-1") as stream:
        stream.write(b"one")
        stream.write(b"two")
    with blobs.open("files/file-1") as stream:
        assert stream.read() == b"onetwo"
    assert [name for name, _ in blobs.names()] == ["files/file-1"]


def test_what_was_not_ended_is_not_there(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), blobs.writing("files/file-1") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    with pytest.raises(StorageError):
        blobs.open("files/file-1")
    assert list(blobs.names()) == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_directory_is_kept_replaced_and_removed(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deep" / "b.txt").write_text("b")
    blobs.put_directory("models/one", source)
    kept = blobs.directory("models/one")
    assert (kept / "deep" / "b.txt").read_text() == "b"
    assert sorted(path.name for path in kept.rglob("*")) == ["a.txt", "b.txt", "deep"]
    (source / "a.txt").unlink()
    blobs.put_directory("models/one", source)
    assert not (blobs.directory("models/one") / "a.txt").exists()
    blobs.remove("models/one")
    blobs.remove("models/one")
    with pytest.raises(StorageError):
        blobs.directory("models/one")


def test_no_name_leads_elsewhere(blobs: Blobs) -> None:
    for name in ("../x", "files/../x", "files/", "other/x", "files/a/b", "/files/x"):
        with pytest.raises(AssertionError):
            blobs.remove(name)


def test_an_address_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        blobs_at("nonsense://bucket/studio", tmp_path)
    assert caught.value.problems[0].code == "bad-blobs"
