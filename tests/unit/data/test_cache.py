"""The cache: whole or absent, found again, made again where it is damaged, and bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.data.cache import cache_bytes, cache_directory, cached
from tunesmith.errors import StorageError


class Maker:
    """Fills an entry, and counts how often."""

    def __init__(self, content: str = "content") -> None:
        self.content = content
        self.made = 0

    def __call__(self, directory: Path) -> None:
        self.made += 1
        (directory / "a.txt").write_text(self.content)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_made_is_found_again(cache: Path) -> None:
    make = Maker()
    first, second = cached({"of": 1}, make), cached({"of": 1}, make)
    assert (first, make.made) == (second, 1)
    assert (first / "a.txt").read_text() == "content"
    assert cached({"of": 2}, make) != first
    assert make.made == 2
    assert cache_bytes() == sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "no manifest", "bad manifest", "of another"])
def test_what_is_damaged_is_made_again(cache: Path, damage: str) -> None:
    make = Maker()
    entry = cached({"of": 1}, make)
    match damage:
        case "changed":
            (entry / "a.txt").write_text("confent")
        case "cut":
            (entry / "a.txt").write_text("cont")
        case "missing":
            (entry / "a.txt").unlink()
        case "no manifest":
            (entry / "manifest.json").unlink()
        case "bad manifest":
            (entry / "manifest.json").write_text("[]")
        case _:
            other = cached({"of": 2}, make)
            (entry / "manifest.json").write_text((other / "manifest.json").read_text())
            make.made -= 1
    assert (cached({"of": 1}, make) / "a.txt").read_text() == "content"
    assert make.made == 2


def test_what_fails_leaves_nothing(cache: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached({"of": 1}, fail)
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_one_error_with_its_remedy(cache: Path) -> None:
    def fill(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError) as caught:
        cached({"of": 1}, fill)
    (problem,) = caught.value.problems
    assert problem.code == "disk-full"
    assert "TUNESMITH_CACHE" in problem.fix
    assert list(cache.iterdir()) == []


def test_a_fault_of_what_it_is_made_from_keeps_its_own_remedy(cache: Path) -> None:
    from tunesmith.files import storage_errors

    def read(directory: Path) -> None:
        with storage_errors(Path("data.csv")):
            raise OSError(errno.EACCES, "no", "data.csv")

    with pytest.raises(StorageError) as caught:
        cached({"of": 1}, read)
    (problem,) = caught.value.problems
    assert problem.where == "data.csv"
    assert "TUNESMITH_CACHE" not in problem.fix


def test_what_two_processes_need_one_makes(cache: Path) -> None:
    slow = (
        "import sys, time; from pathlib import Path; from tunesmith.data.cache import cached\n"
        "def make(directory): time.sleep(1); (directory / 'a').touch(); print('made')\n"
        "print(cached({'of': 1}, make))"
    )
    two = [subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    said = [process.communicate()[0].split() for process in two]
    assert sorted(map(len, said)) == [1, 2], "one waited and found what the other had made"
    assert said[0][-1] == said[1][-1]
    assert [path.name for path in cache.iterdir()] == [Path(said[0][-1]).name]


def _entries(cache: Path) -> Iterator[Path]:
    return (path for path in cache.iterdir() if path.is_dir())


def test_what_was_used_longest_ago_goes_first(cache: Path) -> None:
    make, ages = Maker("x" * 1000), {1: 300, 2: 100, 3: 200}
    entries = {number: cached({"of": number}, make) for number in ages}
    for number, age in ages.items():
        os.utime(entries[number], (time.time() - age,) * 2)
    newest = cached({"of": 4}, make, most_bytes=3000)
    assert set(_entries(cache)) == {newest, entries[2]}
    # what is in use stays, however large
    assert set(_entries(cache)) >= {cached({"of": 2}, make, most_bytes=1)}


def test_what_a_killed_writer_left_goes_after_a_day(cache: Path) -> None:
    old, young = cache / ".a.01234567.tmp", cache / ".b.01234567.tmp"
    for path, age in ((old, 2 * 24 * 3600), (young, 60)):
        path.mkdir(parents=True)
        os.utime(path, (time.time() - age,) * 2)
    cached({"of": 1}, Maker(), most_bytes=0)
    assert not old.exists()
    assert young.exists(), "its writer may still be at work"


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"TUNESMITH_CACHE": "/some/where"}, "/some/where"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/tunesmith"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/tunesmith"),
    ],
)
def test_where_it_lies(variables: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNESMITH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(place)
