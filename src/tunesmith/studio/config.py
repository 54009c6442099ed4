"""StudioConfig: what an operator decides in studio.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from tunesmith.config import Config, read_config
from tunesmith.studio.ids import is_tuned

__all__ = ["StudioConfig", "config_in"]

_GIB = 1 << 30


class StudioConfig(Config):
    """How the studio is set up. Every key has a default: without a file it works on its own."""

    bases: dict[str, str] = Field(default={"embedded": "embedded"}, min_length=1)
    """The bases that may be fine-tuned: a name for callers, and `embedded`, a directory, or a hub name."""

    store: str | None = None
    """The database; null: SQLite in the studio's directory. `postgresql+psycopg://…` for several machines."""

    blobs: str | None = None
    """Where files and models lie; null: in the studio's directory. A directory, or an address of fsspec's."""

    workers: int = Field(default=1, ge=0, le=256)
    """Jobs that this machine trains at the same time; 0: it trains none, others do."""

    recipe: dict[str, Any] = Field(default={})
    """Keys of a recipe that hold for every job, such as `method: lora`."""

    max_file_bytes: int = Field(default=_GIB // 2, ge=1)
    """The largest file that comes in one request."""

    max_upload_bytes: int = Field(default=8 * _GIB, ge=1)
    """The largest file that comes in parts."""

    max_part_bytes: int = Field(default=_GIB // 16, ge=1)
    """The largest of such parts."""

    max_line_bytes: int = Field(default=_GIB // 64, ge=1)
    """The longest line of a training file."""

    project_bytes: int = Field(default=0, ge=0)
    """The most that the files of one project may take together; 0: any."""

    project_jobs: int = Field(default=0, ge=0)
    """The most jobs of one project that have not ended; 0: any."""

    free_bytes: int = Field(default=_GIB, ge=0)
    """No upload begins where the disk would have less than this left."""

    upload_seconds: int = Field(default=3600, ge=1)
    """How long an upload may take, in one request or in parts."""

    lease_seconds: float = Field(default=30.0, gt=0)
    """A job whose worker was silent for this long goes to another."""

    max_attempts: int = Field(default=5, ge=1)
    """How often a job that gets no further is begun."""

    kept_epochs: int = Field(default=3, ge=0)
    """Of how many of its last epochs a job keeps a model of its own."""

    file_days: int = Field(default=0, ge=0, le=36_500)
    """Files without an expiry of their own, but results, go so many days after they came; 0: never."""

    job_days: int = Field(default=0, ge=0, le=36_500)
    """Jobs go so many days after they ended, with events, results and models of epochs; 0: never."""

    models_in_memory: int = Field(default=2, ge=1)
    """Models that are held ready to answer; another takes the place of the one that was used longest ago."""

    answer_seconds: float = Field(default=600.0, gt=0)
    """The longest that an answer may take, the loading of its model included."""

    @field_validator("bases")
    @classmethod
    def _names(cls, bases: dict[str, str]) -> dict[str, str]:
        for name in bases:
            if not name or is_tuned(name) or not name.isprintable() or len(name) > 128:
                raise ValueError(f"{name!r} cannot be the name of a base")
        return bases


def config_in(directory: Path, file: Path | None) -> tuple[StudioConfig, Path | None]:
    """What `file` says, else the directory's own studio.yaml, else the defaults; and where it stands.

    Raises ConfigError or StorageError.
    """
    own = directory / "studio.yaml"
    file = file or (own if own.exists() else None)
    return StudioConfig() if file is None else read_config(file, StudioConfig), file
