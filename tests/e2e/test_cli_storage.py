"""Full disks, closed pipes, existing files: what was there stays; what is new is whole or not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import JUDGED, TUNESMITH, Cli, Finished, write_table
from tests.forked import environment
from tunesmith.bundle import open_bundle


def _mount(*words: str) -> bool:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    return subprocess.run(["mount", *words], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 450 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=450k", "tmpfs", str(place)):
        pytest.skip("only root on Linux can mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_the_earlier_model_and_the_run_goes_on(
    workshop: Path, finished: Path, small_disk: Path
) -> None:
    cli, run = Cli(workshop), small_disk / "run"
    shutil.copytree(finished, run)
    (small_disk / "notes.txt").write_text("mine")
    before = open_bundle(run / "model").manifest
    train = ("train", "news.csv", "--base", "base", "--epochs", "4", "--seed", "7", *JUDGED, "--out", run)
    said = cli(*train, "--overwrite").refused("disk-full")
    assert str(run) in said.err
    assert open_bundle(run / "model").manifest == before
    assert (small_disk / "notes.txt").read_text() == "mine"
    assert not list(small_disk.rglob("*.tmp"))
    assert _mount("-o", "remount,size=20m", str(small_disk))
    cli(*train, "--resume").good()
    assert open_bundle(run / "model").manifest != before


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_full_disk_keeps_what_was_answered_and_scoring_goes_on(
    finished: Path, small_disk: Path, suffix: str
) -> None:
    write_table(small_disk.parent / "a.csv", rows=9000)
    cli = Cli(small_disk)
    (small_disk / "mine").write_bytes(b"1" * 280_000)
    command = ("predict", finished, "--file", "../a.csv", "--out", f"b.{suffix}")
    said = cli(*command).refused("disk-full")
    assert "go on with --resume" in said.err
    assert {path.name for path in small_disk.iterdir()} == {"mine", f"b.{suffix}.pieces"}
    assert any((small_disk / f"b.{suffix}.pieces").glob("0*.parquet"))
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "mine").unlink()
    assert _mount("-o", "remount,size=20m", str(small_disk))
    cli(*command, "--resume").good()
    cli("predict", finished, "--file", "../a.csv", "--out", f"c.{suffix}").good()
    assert (small_disk / f"b.{suffix}").read_bytes() == (small_disk / f"c.{suffix}").read_bytes()


def test_a_full_disk_leaves_no_half_table(finished: Path, small_disk: Path) -> None:
    write_table(small_disk.parent / "a.csv", rows=9000)
    cli = Cli(small_disk)
    with pytest.raises(OSError, match="No space"), (small_disk / "full").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    cli("predict", finished, "--file", "../a.csv", "--out", "b.csv").refused("disk-full")
    cli("init", "../a.csv").refused("disk-full")
    cli("check", "../a.csv", "--fix", "c.csv").refused("disk-full")
    cli("report", finished, "--html", "r.html").refused("disk-full")
    assert [path.name for path in small_disk.iterdir()] == ["full"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("words", [["schema", "recipe"], ["report", "run"], ["report", "run", "--json"]])
def test_standard_output_on_a_full_disk(workshop: Path, finished: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*TUNESMITH, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=workshop,
            env=environment(),
            text=True,
        )
    said = Finished(done.returncode, "", done.stderr).refused("disk-full")
    assert "standard output" in said.err


def _to_closed_pipe(words: list[str], directory: Path, stdin: str = "") -> Finished:
    """Run with a standard output whose reader has left, as after `| head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*TUNESMITH, *words],
        input=stdin,
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=directory,
        env=environment(),
        text=True,
    )
    os.close(writing)
    return Finished(done.returncode, "", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX's")
@pytest.mark.parametrize(
    "words",
    [["schema", "recipe"], ["report", "run"], ["report", "run", "--json"], ["predict", "run"]],
)
def test_a_reader_that_leaves_is_no_fault(workshop: Path, finished: Path, words: list[str]) -> None:
    said = _to_closed_pipe(words, workshop, "a text\n" * 5000)
    assert (said.code, said.err) == (0, "")


def test_a_page_is_replaced_only_where_asked(workshop: Path, finished: Path) -> None:
    cli, page = Cli(workshop), workshop / "page.html"
    page.write_text("old")
    cli("report", finished, "--html", page).refused("exists")
    assert page.read_text() == "old"
    cli("report", finished, "--html", page, "--overwrite").good()
    assert page.read_text("utf-8").startswith("<!doctype html>")
