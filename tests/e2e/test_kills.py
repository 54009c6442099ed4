"""Killed by force again and again, also inside a save: what lasts is what would have lasted anyway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked")
def test_killed_five_times_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.kill", "--kills", "5", "--kills-a-run", "5"]
    options = ["--inside-saves", "0.8", "--seed", "1", "--out", str(tmp_path / "kill.json")]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "kill.json").read_text())
    assert found["kills"] == 5
    assert found["moments"]["inside a checkpoint save"] >= 2
    assert found["differing_files"] == found["faults"] == []
    assert found["compared_files_a_run"] >= 8
