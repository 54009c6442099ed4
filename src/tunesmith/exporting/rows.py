"""The rows by which an export is held against its source: a run's validation rows, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bundle import Bundle
from tunesmith.data.dataset import Dataset
from tunesmith.data.drawing import TRAIN, VALIDATION
from tunesmith.data.read import read
from tunesmith.data.saved_split import open_split
from tunesmith.errors import DataError, Problem
from tunesmith.files import read_json

__all__ = ["compared_rows"]


def compared_rows(run: Path, bundle: Bundle, data: str | Path | None) -> Dataset:
    """The labelled rows of `data`; where it is None, the run's validation rows.

    A run without any is compared on its training rows. Raises DataError where they cannot be read again as
    they were.
    """
    if data is not None:
        return _read(data, bundle)
    sources = _sources(run, bundle)
    if validation := sources.get("validation"):
        return _read(validation, bundle)
    dataset = _read(sources["train"], bundle)
    parts = open_split(run / "split.json", dataset).part_of_row
    assert parts is not None, "a run has parts, and no folds"
    held_out = np.flatnonzero(parts == VALIDATION)
    return dataset.take(held_out if held_out.size else np.flatnonzero(parts == TRAIN))


def _sources(run: Path, bundle: Bundle) -> dict[str, str]:
    if not (run / "run.json").is_file():
        what = "the model is not in a run: which rows it was validated on is not known"
        raise DataError(_no_rows(what, bundle.path))
    sources: dict[str, Any] = read_json(run / "run.json")["sources"]
    gone = [path for name, path in sources.items() if name != "test" and not Path(path).exists()]
    if gone:
        raise DataError([_no_rows("the data of the run is not where it was", path) for path in gone])
    return sources


def _no_rows(what: str, where: object) -> Problem:
    return Problem("no-rows-to-compare", what, str(where), "name a labelled file with --data")


def _read(path: str | Path, bundle: Bundle) -> Dataset:
    dataset = read(path, bundle.task)
    if not len(dataset):
        raise DataError(_no_rows("there are no rows to compare answers on", path))
    return dataset
