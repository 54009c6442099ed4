"""`FILE#PART`: a sheet of a workbook, a split of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tunesmith.data.problems import refuse
from tunesmith.errors import DataError

__all__ = ["no_such_part", "parted"]


def parted(path: Path) -> tuple[Path, str | None]:
    """`book.xlsx#Sheet 2` -> its file and the name of the part; a name with `#` that exists is whole."""
    name, mark, part = path.name.rpartition("#")
    if not mark or not name or path.exists():
        return path, None
    return path.with_name(name), part


def no_such_part(path: Path, part: str, parts: Iterable[str]) -> DataError:
    """The error for a part that is not there, with those that are."""
    names = list(parts)
    fix = f"name one of them: {path}#{names[0]}" if names else "name the file alone"
    what = f'there is no part "{part}"; there {"are" if names else "is none"} {", ".join(names)}'.rstrip()
    return refuse("no-part", what, path, fix)
