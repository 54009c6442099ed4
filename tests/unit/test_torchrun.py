from __future__ import annotations

import pytest

from tunesmith.errors import ConfigError
from tunesmith.processes import ALONE
from tunesmith.torchrun import join, process_count, process_rank, refuse_too_few


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (process_count(), process_rank()) == (1, 0)
    assert join() is ALONE


def test_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (process_count(), process_rank()) == (1, 0), "a number without a rank is another program's"
    monkeypatch.setenv("RANK", "3")
    assert (process_count(), process_rank()) == (4, 3)


def test_fewer_gpus_than_processes_are_refused() -> None:
    refuse_too_few(2, 2)
    with pytest.raises(ConfigError) as caught:
        refuse_too_few(1, 2)
    [problem] = caught.value.problems
    assert problem.code == "too-few-gpus"
    assert problem.what == "2 processes were started on a machine with 1 GPU"
    assert "--nproc-per-node 1" in problem.fix
