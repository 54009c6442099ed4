"""What a job that has not ended has learned so far: where it lies, and where it is put to go on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from tunesmith.studio.blobs import Blobs

__all__ = ["job_of_work", "kept_works", "local_runs", "name_of_work", "place_of_run"]

_CHECKPOINT = re.compile(r"checkpoints/(step-[0-9]+)/")
_WORK = re.compile(r"work/(ftjob-[0-9a-f]+)-(step-[0-9]+)")


def local_runs(work: Path, jobs: Collection[str]) -> dict[str, Path]:
    """The run of the newest attempt that has a checkpoint, of each job that has one below `work`."""
    found: dict[str, Path] = {}
    for job_id in jobs:
        checkpoints = sorted((work / job_id).glob("*/run/checkpoints/step-*"))
        if checkpoints:
            found[job_id] = checkpoints[-1].parents[1]
    return found


def name_of_work(job_id: str, files: Iterable[str]) -> str | None:
    """What a run with these files is called as a blob, by its newest checkpoint; None where it has none."""
    steps = [found[1] for file in files if (found := _CHECKPOINT.match(file))]
    return f"work/{job_id}-{max(steps)}" if steps else None


def kept_works(blobs: Blobs, jobs: Collection[str]) -> dict[str, str]:
    """The newest checkpoint among the blobs of each job that has one there, as its name."""
    names = sorted(name for name, _ in blobs.names(("work",)) if job_of_work(name) in jobs)
    return {str(job_of_work(name)): name for name in names}


def job_of_work(blob: str) -> str | None:
    """Of which job it is; None where the name is none of work."""
    found = _WORK.fullmatch(blob)
    return None if found is None else found[1]


def place_of_run(work: Path, job_id: str, fences: Mapping[str, int]) -> Path:
    """Where the next attempt of a job finds it: as that of the claim before."""
    return work / job_id / f"{fences[job_id]:06d}" / "run"
