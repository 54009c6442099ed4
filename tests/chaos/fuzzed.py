"""A studio under all that its own OpenAPI schema allows and forbids, with models of each kind to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.served import new_small_studio, served
from tests.fuzzing import fuzz
from tests.studio import Studio, classes, talks
from tests.tormenting import Fuzzed
from tunesmith.studio.types import Job

__all__ = ["FuzzedStudio", "fuzzed_studio"]


class FuzzedStudio:
    """A studio that is served from this process."""

    def __init__(self, url: str, known: Mapping[str, Sequence[str]]) -> None:
        self.url, self._known = url, known

    def fuzz(self, examples: int, seed: int, *, deletes: bool) -> Fuzzed:
        """Send requests; `examples` are those of each operation. What was deleted is not there for others."""
        return fuzz(self.url, examples, seed, self._known, knows_all=False, deletes=deletes)


@contextmanager
def fuzzed_studio(directory: Path, base: Path) -> Iterator[FuzzedStudio]:
    """A studio with files, an upload, a job in each state, a classifier and a writer."""
    studio = new_small_studio(directory, base, max_file_bytes=1 << 20, answer_seconds=20)
    files = [studio.file(lines) for lines in (talks(12), classes(12), [{"nothing": "to learn"}] * 12)]
    ended = [studio.trained(studio.job(file)) for file in files]
    with served(studio) as url:
        yield FuzzedStudio(url, _known(files, [*ended, studio.job(files[0])], studio))
    studio.close()


def _known(files: Sequence[str], jobs: Sequence[Job], studio: Studio) -> dict[str, Sequence[str]]:
    none = "0" * 24
    models = ["tiny", *(job.fine_tuned_model for job in jobs if job.fine_tuned_model), "none"]
    file_ids, job_ids = (
        [*files, *jobs[0].result_files, f"file-{none}"],
        [*(job.id for job in jobs), f"ftjob-{none}"],
    )
    return {
        "path.file_id": file_ids,
        "path.job_id": job_ids,
        "path.model": models,
        "body.model": models,
        "body.training_file": file_ids,
        "body.validation_file": file_ids,
        "query.after": [*file_ids, *job_ids],
    }
