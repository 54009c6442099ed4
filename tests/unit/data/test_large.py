"""Data that is too large to be held: the same rows, read from a mapped file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.data.conftest import Save
from tunesmith.data import store
from tunesmith.data.check import check
from tunesmith.data.dataset import SCHEMA, Dataset, Target, dataset_of
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import read
from tunesmith.data.split import split
from tunesmith.data.store import Stored, gathered, gathered_once
from tunesmith.errors import StorageError
from tunesmith.task import Task

TASK = Task(labels=("a", "b"))
TEXTS = [f"text number {number} é" for number in range(9_000)]
SMALL = dataset_of(TASK, TEXTS, ["a", "b", "b"] * 3_000)


def _batches(dataset: Dataset = SMALL) -> Iterator[pa.RecordBatch]:
    return iter(dataset.table.to_batches(max_chunksize=1000))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def large(cache: Path) -> Dataset:
    stored = gathered(_batches(), SCHEMA, spill_bytes=1)
    return Dataset(TASK, stored.table, mapped=stored.mapped)


def test_small_tables_stay_in_memory(cache: Path) -> None:
    stored = gathered(_batches(), SCHEMA)
    assert stored.mapped is None
    assert stored.table.equals(SMALL.table)
    assert not cache.exists()


def test_large_ones_lie_in_a_file_that_is_gone_with_them(large: Dataset, cache: Path) -> None:
    assert large.mapped is not None
    assert large.table.equals(SMALL.table)
    assert list(cache.iterdir()) == [], "the file has no name"


def test_they_say_and_hold_the_same(large: Dataset) -> None:
    assert large.sha256 == SMALL.sha256
    assert large.label_counts == SMALL.label_counts
    assert large.label_ids.tolist() == SMALL.label_ids.tolist()
    assert [text for texts in large.text_batches(7) for text in texts] == TEXTS
    assert (large[8_999], large.where(5)) == (SMALL[8_999], "memory:6")
    assert check(large) == check(SMALL)


@pytest.mark.parametrize("rows", [[8_999, 0, 5, 5], [0, 1, 8_000], [], list(range(9_000))])
def test_rows_are_taken_in_any_order(large: Dataset, rows: list[int]) -> None:
    assert large.take(rows).table.to_pylist() == SMALL.take(rows).table.to_pylist()


def test_its_parts_are_the_same(large: Dataset) -> None:
    fractions = {"seed": 3, "validation_fraction": 0.1, "test_fraction": 0.2}
    one, other = split(large, **fractions), split(SMALL, **fractions)  # type: ignore[arg-type]
    for name in ("train", "validation", "test"):
        assert getattr(one, name).table.to_pylist() == getattr(other, name).table.to_pylist()


def _as_hashed(text: str, target: Target) -> Iterator[str]:
    yield text
    match target:
        case None:
            yield "\0"
        case str():
            yield target
        case _:
            yield from (str(len(target)), *target)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(_TEXT | st.none(), _TEXT | st.none())), st.booleans())
def test_the_hash_is_of_lengths_and_parts(rows: list[tuple[str | None, str | None]], several: bool) -> None:
    targets: list[Target] = [
        tuple(target) if several and target is not None else target for _, target in rows
    ]
    digest = hashlib.sha256()
    for (text, _), target in zip(rows, targets, strict=True):
        for part in _as_hashed(text or "", target):
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    task = Task(kind="multi_label" if several else "single_label")
    assert dataset_of(task, [text for text, _ in rows], targets).sha256 == digest.hexdigest()


def _once(about: dict[str, object], log: ReadLog, notes: list[str]) -> Stored:
    def batches() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(_batches()):
            yield batch
            log.fault("bad-cell", f"batch {number}", "here", "mend it")
            notes.append("read")

    return gathered_once(batches(), SCHEMA, lambda: about, log, spill_bytes=1)


def test_a_large_file_is_read_once(cache: Path) -> None:
    first, second, reads = ReadLog(), ReadLog(), list[str]()
    whole = _once({"sha256": "x"}, first, reads)
    read_whole = len(reads)
    again = _once({"sha256": "x"}, second, reads)
    assert read_whole == 9
    assert len(reads) == 9, "all but the first batch came from the cache"
    assert again.table.equals(whole.table)
    assert (second.problems, second.notes) == (first.problems, first.notes)
    _once({"sha256": "y"}, ReadLog(), reads)
    assert len(reads) == 18
    assert len(list(cache.iterdir())) == 2


def test_damage_is_seen_and_mended(cache: Path) -> None:
    _once({}, ReadLog(), [])
    reads = list[str]()
    (rows,) = cache.glob("*/rows.arrow")
    data = bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 1
    rows.write_bytes(data)
    assert _once({}, ReadLog(), reads).table.equals(SMALL.table)
    assert len(reads) == 9


def test_a_full_disk_is_told_and_leaves_nothing(cache: Path) -> None:
    def full() -> Iterator[pa.RecordBatch]:
        yield next(_batches())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="disk-full"):
        gathered(full(), SCHEMA, spill_bytes=1)
    with pytest.raises(StorageError, match="disk-full"):
        gathered_once(full(), SCHEMA, dict, ReadLog(), spill_bytes=1)
    assert list(cache.iterdir()) == []


def _rows(count: int) -> str:
    return "".join(
        json.dumps({"text": f"{number} {'x' * 60_000}", "label": "ab"[number % 2]}) + "\n"
        for number in range(count)
    )


def test_what_is_made_of_rows_is_made_once_and_only_of_them(large: Dataset) -> None:
    made = list[int]()

    def make() -> int:
        made.append(1)
        return len(made)

    assert [large.once("a", make), large.once("a", make), large.once("b", make)] == [1, 1, 2]
    assert large.take([1]).once("a", make) == 3
    assert replace(large, table=large.table.slice(1)).sha256 != large.sha256


def test_a_large_file_is_found_again_until_it_changes(save: Save, cache: Path) -> None:
    path = save("a.jsonl", _rows(300) + "{\n")
    assert path.stat().st_size > store.SPILL_BYTES
    first, second = read(path), read(path)
    assert len(list(cache.iterdir())) == 1
    assert first.mapped is not None
    assert second.table.equals(first.table)
    assert (second.problems, second.notes, second.task) == (first.problems, first.notes, first.task)
    assert [problem.code for problem in second.problems] == ["bad-json"]
    path.write_text(_rows(301), encoding="utf-8")
    assert len(read(path)) == 301
    assert len(read(path, lenient=True)) == 301
    assert len(list(cache.iterdir())) == 3


def test_a_large_folder_is_found_again_until_it_changes(save: Save, cache: Path) -> None:
    for number in range(5):
        for label in "ab":
            save(f"data/{label}/{number}.txt", f"{number} {label * 4_000_000}")
    folder = save("data/a/9.txt", "nine").parents[1]
    assert len(read(folder)) == len(read(folder)) == 11
    assert len(list(cache.iterdir())) == 1
    (folder / "b" / "9.txt").write_text("nine")
    assert len(read(folder)) == 12


def test_labels_without_a_row_and_rows_without_a_label_are_no_ids(large: Dataset) -> None:
    assert dataset_of(TASK, ["x", "y"], [None, "b"]).label_ids.tolist() == [1]
    assert large.take([]).label_ids.dtype == np.int32
