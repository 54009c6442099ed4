"""Data sets of the `datasets` library, on a hub or saved to a directory -> rows of one split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.data.formats.optional import needed
from tunesmith.data.formats.parts import no_such_part
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog, refuse
from tunesmith.hub import hub_address, only_local

__all__ = ["is_on_hub", "is_saved", "rows"]

_PREFIX = "hf:"
_SAVED = ("dataset_dict.json", "dataset_info.json")
_SPLITS = ("train", "validation", "test")


def is_on_hub(path: Path) -> bool:
    """Whether this is `hf:owner/name`, and no file."""
    return str(path).startswith(_PREFIX) and not path.exists()


def is_saved(path: Path) -> bool:
    """Whether `save_to_disk` wrote this directory."""
    return any((path / name).is_file() for name in _SAVED)


def rows(path: Path, part: str | None, log: ReadLog) -> Iterator[Row]:
    """The rows of the split named `part`, else of `train`, or of the only one; labels by their names.

    What is on a hub is read as a stream. No code of a data set is ever run. Raises DataError where there is
    no such data set or split, or where the hub is out of reach.
    """
    datasets = needed("datasets", "datasets", "data sets of a hub and Arrow directories", path)
    found = _opened(datasets, path)
    if hasattr(found, "keys"):
        found = _split(path, found, part, log)
    elif part is not None:
        raise no_such_part(path, part, ())
    named = _named(found.features)
    for number, values in enumerate(found, 1):
        cells = {name: named[name](cell) if name in named else cell for name, cell in values.items()}
        yield Row(cells, number, str(path))


def _opened(datasets: Any, path: Path) -> Any:
    name = str(path).removeprefix(_PREFIX)
    on_hub = is_on_hub(path)
    if on_hub and only_local(name):
        what = f"the hub is out of reach: {hub_address()} does not answer"
        fix = "where it can be reached, save the data set with `save_to_disk`, and name that directory"
        raise refuse("no-dataset", what, path, fix)
    try:
        return datasets.load_dataset(name, streaming=True) if on_hub else datasets.load_from_disk(name)
    # what it raises for a name that is not there or a damaged file is different in every version
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = f"the data set cannot be opened: {reason}"
        fix = "check the name; of a directory, save it again with `save_to_disk`"
        raise refuse("no-dataset", what, path, fix) from error


def _split(path: Path, found: Any, part: str | None, log: ReadLog) -> Any:
    names = list(found.keys())
    if part is not None and part not in names:
        raise no_such_part(path, part, names)
    name = part or next((split for split in _SPLITS if split in names), names[0])
    if part is None and len(names) > 1:
        other = next(split for split in names if split != name)
        log.notes.append(f'split "{name}" is read; for another: {path}#{other}')
    return found[name]


def _named(features: Any) -> dict[str, Callable[[Any], object]]:
    """How the numbers of a label column become names, also in lists of them."""
    found: dict[str, Callable[[Any], object]] = {}
    for name, feature in (features or {}).items():
        inner = getattr(feature, "feature", None)
        if hasattr(feature, "int2str"):
            found[name] = _name_of(feature)
        elif hasattr(inner, "int2str"):
            found[name] = _names_of(_name_of(inner))
    return found


def _name_of(feature: Any) -> Callable[[Any], object]:
    # -1 is how data sets say that a label is not told
    return lambda cell: None if cell is None or cell < 0 else feature.int2str(int(cell))


def _names_of(name: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda cells: None if cells is None else [name(cell) for cell in cells]
