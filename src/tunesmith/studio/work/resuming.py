"""A job that was begun before goes on where it was, here or on another machine.

Each attempt has a directory of its own, named by the fence of its lease: one that was frozen, and comes back
after another took over, writes where nobody reads. What the attempt before it had is linked, which costs
nothing, as the engine never changes a file of a checkpoint. Where blobs lie elsewhere than on this disk, the
newest checkpoint is kept there, too.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tunesmith.errors import UserError
from tunesmith.files import read_json, staged_directory, write_json
from tunesmith.studio.blobs import Blobs, LocalBlobs, linked_tree
from tunesmith.studio.types import Job, Lease
from tunesmith.studio.work.place import Place

__all__ = ["begun_run", "forget_work", "mirrored", "renamed_sources"]

_ABOUT = "run.json"
_LOOKED_EVERY_SECONDS = 5.0


def begun_run(place: Place, job: Job, lease: Lease) -> Path:
    """The directory of this attempt, with the run of the attempt before it where there was one."""
    attempt = place.attempt(lease)
    if not attempt.exists():
        attempt.mkdir(parents=True)
        source = _newest_here(attempt) or _newest_kept(place.blobs, job)
        if source is not None:
            # whole or not at all: a worker that dies meanwhile must not hide what the one before it had
            with staged_directory(attempt / "run") as run:
                linked_tree(source, run)
        for other in attempt.parent.iterdir():
            if other != attempt:
                shutil.rmtree(other, ignore_errors=True)
    return attempt


def _newest_here(attempt: Path) -> Path | None:
    others = sorted(path for path in attempt.parent.iterdir() if path.name < attempt.name)
    begun = [path / "run" for path in others if (path / "run" / _ABOUT).is_file()]
    return begun[-1] if begun else None


def _newest_kept(blobs: Blobs, job: Job) -> Path | None:
    if isinstance(blobs, LocalBlobs):
        return None
    for name in sorted(_kept(blobs, job.id), reverse=True):
        with suppress(UserError):  # it was not written to its end
            return blobs.directory(name)
    return None


def _kept(blobs: Blobs, job_id: str) -> list[str]:
    return [name for name, _ in blobs.names(("work",)) if name.startswith(f"work/{job_id}-")]


def renamed_sources(run: Path, sources: dict[str, str], base: str) -> None:
    """Let run.json say where files and base lie now; whether they are the same, their hashes tell."""
    about = run / _ABOUT
    if about.is_file():
        values = read_json(about)
        recipe = dict(values.get("recipe", {})) | {"base": base}
        write_json(about, values | {"sources": sources, "recipe": recipe})


@contextmanager
def mirrored(place: Place, job: Job, run: Path) -> Iterator[None]:
    """While the block runs, and once more at its end, keep the newest checkpoint among remote blobs."""
    if isinstance(place.blobs, LocalBlobs):
        yield
        return
    mirror = _Mirror(place.blobs, job.id, run)
    mirror.start()
    try:
        yield
    finally:
        mirror.stop()


class _Mirror(threading.Thread):
    def __init__(self, blobs: Blobs, job_id: str, run: Path) -> None:
        super().__init__(name=f"mirror-{job_id}", daemon=True)
        self._blobs, self._job_id, self._run = blobs, job_id, run
        self._over = threading.Event()
        self._kept_step = ""

    def run(self) -> None:
        """Look now and then whether there is another checkpoint."""
        while not self._over.wait(_LOOKED_EVERY_SECONDS):
            self._keep_newest()
        self._keep_newest()

    def stop(self) -> None:
        """Keep what there is, and end."""
        self._over.set()
        self.join()

    def _keep_newest(self) -> None:
        steps = sorted(path.name for path in (self._run / "checkpoints").glob("step-*"))
        if not steps or steps[-1] == self._kept_step:
            return
        # a copy that is late or lost costs work that is done again, and nothing else
        with suppress(UserError, OSError), TemporaryDirectory(dir=self._run.parent) as place:
            linked_tree(self._run, Path(place))
            before = _kept(self._blobs, self._job_id)
            name = f"work/{self._job_id}-{steps[-1]}"
            self._blobs.put_directory(name, Path(place))
            self._kept_step = steps[-1]
            for other in set(before) - {name}:
                self._blobs.remove(other)


def forget_work(place: Place, job_id: str) -> None:
    """Remove what was kept of a job only so that it could go on."""
    shutil.rmtree(place.work / job_id, ignore_errors=True)
    if not isinstance(place.blobs, LocalBlobs):
        for name in _kept(place.blobs, job_id):
            place.blobs.remove(name)
