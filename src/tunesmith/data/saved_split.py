"""A split on disk: the numbers of the rows of each part, or fold, and the hash of the data they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.data.drawing import LEFT_OUT, TEST, TRAIN, VALIDATION, Parts
from tunesmith.errors import DataError, Problem
from tunesmith.files import atomic_file, read_json

__all__ = ["SavedSplit", "open_split", "save_split"]

_FORMAT = 1
_PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
_WRITTEN_AT_ONCE = 1 << 16

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SavedSplit:
    """What a file of a split says of a dataset's rows."""

    path: Path
    seed: int
    how: str
    part_of_row: Parts | None
    """(rows,) as `Splits` has it, None where there are folds"""
    fold_of_row: Rows | None
    """(rows,) from 0, None where there are parts"""
    folds: int = 0


def save_split(
    path: Path,
    data_sha256: str,
    seed: int,
    how: str,
    *,
    parts: Parts | None = None,
    folds: Rows | None = None,
) -> None:
    """Write which rows, from 1, make up each part, or each fold, without a list of all of them in memory.

    `parts` or `folds` are (rows,); `data_sha256` is the dataset's.
    """
    numbers = folds if parts is None else parts
    assert numbers is not None
    about = {"format": _FORMAT, "data_sha256": data_sha256, "rows": numbers.size, "seed": seed, "how": how}
    with atomic_file(path) as stream:
        for piece in _written(about, parts, folds):
            stream.write(piece.encode())


def _written(about: Mapping[str, Any], parts: Parts | None, folds: Rows | None) -> Iterator[str]:
    yield json.dumps(about, ensure_ascii=False)[:-1]
    if parts is not None:
        for name, part in _PARTS.items():
            yield f',\n"{name}": '
            yield from _numbers(np.flatnonzero(parts == part) + 1)
    else:
        assert folds is not None
        yield ',\n"folds": '
        for fold in range(int(folds.max()) + 1):
            yield ",\n" if fold else "[\n"
            yield from _numbers(np.flatnonzero(folds == fold) + 1)
        yield "]"
    yield "}\n"


def _numbers(rows: Rows) -> Iterator[str]:
    yield "["
    for start in range(0, rows.size, _WRITTEN_AT_ONCE):
        yield ("," if start else "") + ",".join(map(str, rows[start : start + _WRITTEN_AT_ONCE].tolist()))
    yield "]"


def open_split(path: Path, dataset: Dataset) -> SavedSplit:
    """Read a split of this very data; raises DataError where it is of other data, or no split."""
    values = read_json(path)
    if not isinstance(values, dict) or not {"format", "data_sha256", "rows"} <= values.keys():
        raise _refused(
            "bad-split", "this is no split", path, "name a file that `tunesmith split` has written"
        )
    if values["format"] != _FORMAT:
        what = f"the split is of format {values['format']}, and this version reads {_FORMAT}"
        raise _refused("bad-split", what, path, "make it again with `tunesmith split`")
    if (values["rows"], values["data_sha256"]) != (len(dataset), dataset.sha256):
        what = (
            f"the split is of other data: {values['rows']:,} rows, where {len(dataset):,} were read"
            if values["rows"] != len(dataset)
            else "the split is of other data: texts or labels have changed, or their order"
        )
        fix = "give the data that was split, read from the same columns, or split it again"
        raise _refused("other-data", what, path, fix)
    return _opened(path, values, len(dataset))


def _opened(path: Path, values: Mapping[str, Any], count: int) -> SavedSplit:
    seed, how = int(values.get("seed", 0)), str(values.get("how", ""))
    if "folds" in values:
        folds = _numbered(path, enumerate(values["folds"]), count)
        return SavedSplit(path, seed, how, None, folds, len(values["folds"]))
    parts = _numbered(path, ((part, values.get(name, [])) for name, part in _PARTS.items()), count)
    return SavedSplit(path, seed, how, parts.astype(np.int8), None)


def _numbered(path: Path, named: Any, count: int) -> Rows:
    """(rows,) the number of the part that each row is in; raises DataError where a row is in two, or none."""
    found = np.full(count, LEFT_OUT, np.int64)
    for number, rows in named:
        places = np.asarray(rows, np.int64) - 1
        outside = places.size and not (places.min() >= 0 and places.max() < count)
        if outside or (found[places] != LEFT_OUT).any() or np.unique(places).size != places.size:
            what = "a row of the split stands in two parts, or is none of the data's"
            raise _refused("bad-split", what, path, "make it again with `tunesmith split`")
        found[places] = number
    return found


def _refused(code: str, what: str, path: Path, fix: str) -> DataError:
    return DataError(Problem(code, what, str(path), fix))
