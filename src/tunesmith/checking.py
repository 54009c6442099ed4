"""A file of texts before any training: checked, mended and written anew, or split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tunesmith.audit.look import audit
from tunesmith.audit.types import Audit
from tunesmith.data.check import DataReport, check, with_problems
from tunesmith.data.dataset import Dataset
from tunesmith.data.mend import mend
from tunesmith.data.near import MOST_TEXTS
from tunesmith.data.parting import Parting, folded, parted
from tunesmith.data.read import read
from tunesmith.data.saved_split import save_split
from tunesmith.data.write import write_dataset
from tunesmith.files import refuse_existing
from tunesmith.inputs import given
from tunesmith.model.load import load_reader
from tunesmith.room import room_of
from tunesmith.task import Kind, Task

__all__ = ["check_file", "mend_file", "split_file"]


def mend_file(
    data: str | Path,
    out: str | Path,
    *,
    task: Task | str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Mend what can be mended safely, write the rest to `out`, and say what was done."""
    refuse_existing(Path(out), overwrite)
    said: Task | None = given(task, Task)
    dataset = read(data, said, text_column=text_column, label_column=label_column, kind=kind, lenient=True)
    mended, done = mend(dataset, labels_given=bool(said and said.labels))
    write_dataset(out, mended)
    return (*dataset.notes, *done)


def split_file(
    data: str | Path,
    out: str | Path,
    how: Parting,
    *,
    folds: int | None = None,
    task: Task | str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    overwrite: bool = False,
) -> tuple[dict[str, int], str]:
    """Part the rows of a file, or deal them out to folds, and write which went where.

    Returns the rows of each part, or fold, and one sentence on how they came about. Raises DataError where
    the data is not fit to be parted.
    """
    refuse_existing(Path(out), overwrite)
    said: Task | None = given(task, Task)
    dataset = read(data, said, text_column=text_column, label_column=label_column, kind=kind)
    check(dataset, labels_given=bool(said and said.labels)).raise_if_failed()
    if folds is not None:
        fold_of_row, told = folded(dataset, str(data), how, folds)
        save_split(Path(out), dataset.sha256, how.seed, told, folds=fold_of_row)
        counts = np.bincount(fold_of_row, minlength=folds).tolist()
        return {f"fold {number}": count for number, count in enumerate(counts, 1)}, told
    splits = parted(dataset, str(data), {}, {}, how)
    save_split(Path(out), dataset.sha256, how.seed, splits.how, parts=splits.part_of_row)
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: len(part) for name, part in named.items()}, splits.how


def check_file(
    data: str | Path,
    *,
    held_out: Mapping[str, str | Path] | None = None,
    task: Task | str | Path | None = None,
    base: str = "embedded",
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    lenient: bool = False,
    seed: int = 0,
) -> tuple[Dataset, DataReport, Audit]:
    """Read and check labelled text, look at it as a whole, and say how much of it the base can read.

    `seed` draws the samples of what is too much to be looked at.
    """
    said: Task | None = given(task, Task)
    dataset = read(data, said, text_column=text_column, label_column=label_column, kind=kind, lenient=lenient)
    others = {name: read(path, dataset.task, lenient=lenient) for name, path in (held_out or {}).items()}
    listed = bool(said and said.labels)
    report = check(dataset, held_out=others, labels_given=listed, most_compared=MOST_TEXTS)
    found = audit(dataset, others, seed)
    report = with_problems(report, found.problems)
    if not len(dataset):
        return dataset, report, found
    reader = load_reader(base)
    room = room_of(dataset.task)
    return dataset, room.token_report(report, dataset, reader.tokenizer, reader.window), found
