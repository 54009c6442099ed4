"""The result file of a job at OpenAI -> what it says of the last step."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from tunesmith.errors import DataError, Problem
from tunesmith.files import storage_errors

__all__ = ["last_figures"]

_COLUMNS = ("train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def last_figures(path: Path) -> Mapping[str, float]:
    """The last step, and the last of each figure that was measured; raises DataError or StorageError."""
    found: dict[str, float] = {}
    with storage_errors(path), path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(stream)
        if "step" not in (rows.fieldnames or ()):
            raise _no_results(path, 1, "there is no column `step`")
        try:
            for row in rows:
                found |= _figures(row)
        except (ValueError, csv.Error) as error:
            raise _no_results(path, rows.line_num, str(error)) from error
    if not found:
        raise _no_results(path, 1, "there is no step in it")
    return found


def _figures(row: Mapping[str, str | None]) -> dict[str, float]:
    named = {name: row.get(name) for name in ("step", *_COLUMNS)}
    values = {name: float(cell) for name, cell in named.items() if cell and cell.strip()}
    # where nothing was measured, some rows say nan
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _no_results(path: Path, line: int, why: str) -> DataError:
    fix = "name the CSV among the result files of the job, as it was downloaded"
    return DataError(Problem("bad-results", f"this is no result file: {why}", f"{path}:{line}", fix))
