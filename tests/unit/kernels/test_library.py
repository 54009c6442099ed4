from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.kernels import need_kernels
from tunesmith.kernels import library
from tunesmith.kernels.library import SWITCH, kernels_for, missing

STATES = torch.ones(2, 16)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need_kernels()
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "_found", library._found.__wrapped__)


def _kept(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").glob("*/kernels.so"))


def test_they_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels_for(STATES) is not None
    (kept,) = _kept(tmp_path)
    made = kept.stat().st_mtime_ns
    assert kernels_for(STATES) is not None
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(kept.read_bytes()[:1000])
    ask = "import torch; from tunesmith.kernels.library import missing; print(missing())"
    again = subprocess.run(
        [sys.executable, "-c", ask],
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == "\n", "what is damaged is made again"


def test_another_processor_or_compiler_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not missing()
    monkeypatch.setattr(library, "_processor", lambda: "another")
    assert not missing()
    assert len(_kept(tmp_path)) == 2


@pytest.mark.parametrize("word", ["0", "off", "No", "false"])
def test_they_can_be_turned_off(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, word)
    assert kernels_for(STATES) is None
    assert missing() == f"{SWITCH} turns them off"
    assert not _kept(tmp_path)


def test_without_a_compiler_torch_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == "no gcc is installed"
    broken = tmp_path / "gcc"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho no such option >&2\nexit 4\n")
    broken.chmod(0o755)
    assert missing() == f"{broken} failed: no such option"


def test_what_others_can_write_is_not_loaded(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        assert not missing(), "a group's members write each other's files by some systems' default"
    finally:
        os.umask(before)
    (kept,) = _kept(tmp_path)
    kept.chmod(0o770)
    assert "others can write it" in missing()


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "file" / "cache"))
    assert kernels_for(STATES) is None
    assert str(tmp_path / "file") in missing()


def test_other_threads_than_torchs_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_THREADS", "libgomp-of-another.so.1")
    assert missing() == "torch computes with other threads than gcc's"
