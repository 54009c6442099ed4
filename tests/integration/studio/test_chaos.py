"""A tenth of what benchmarks/chaos.py does: nothing is lost, done twice, stuck, or left over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.bad_lines import BAD, find_bad_lines
from tests.chaos.full_disk import can_mount, fill_the_disk
from tests.chaos.kills import kill_all_along
from tests.chaos.replies import cut_uploads, lose_replies
from tests.chaos.zombies import freeze_again_and_again


def test_killed_servers_and_workers_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, small_base: Path
) -> None:
    found = kill_all_along(tmp_path / "studio", small_base, jobs=50, kills=20, seed=2)
    assert not found.faults
    assert found.kills.total() == 20
    # what needs the most luck to survive was among it
    assert found.kills["server"]
    assert any("training" in moment for moment in found.kills)


def test_lost_replies_make_one_job_each(tmp_path: Path, small_base: Path) -> None:
    found = lose_replies(tmp_path / "studio", small_base, replies=100)
    assert (found.asked, found.sent, found.made, found.told) == (100, 200, 100, 100)


def test_workers_that_wake_too_late_change_nothing(tmp_path: Path, small_base: Path) -> None:
    found = freeze_again_and_again(tmp_path / "studio", small_base, zombies=10, seed=2)
    assert found.refused == found.frozen >= 10
    assert not found.faults


def test_uploads_that_are_cut_off_leave_nothing(tmp_path: Path, small_base: Path) -> None:
    found = cut_uploads(tmp_path / "studio", small_base, cuts=50, seed=2)
    assert found.cut == {"file": 25, "part": 25}
    assert not found.faults


def test_each_of_a_thousand_bad_lines_is_named_in_little_memory(tmp_path: Path, small_base: Path) -> None:
    found = find_bad_lines(tmp_path / "studio", small_base, lines=1000, file_bytes=100 << 20, seed=2)
    assert len(BAD) >= 40
    assert not found.faults
    # what a worker takes by itself differs: 156 MiB as a rule, 200 in one run of all tests
    most = found.peak_of_few_lines_mib + 40
    assert found.peak_mib < most
    assert found.peak_of_one_line_mib < most


@pytest.mark.skipif(not can_mount(), reason="only root on Linux can fill a disk of its own")
def test_a_disk_that_is_full_at_any_place_loses_nothing(tmp_path: Path, small_base: Path) -> None:
    found = fill_the_disk(tmp_path, small_base, fills=10)
    assert not found.faults
    assert found.fills == 10
    # it was full before, while and after the job was at work
    assert {"refused", "disk-full", "succeeded"} <= found.ended.keys()
