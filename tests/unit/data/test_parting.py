"""Columns, saved splits and folds: what is asked of a split is done, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.data.test_units import story
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.parting import Parting, folded, parted
from tunesmith.data.read import read
from tunesmith.data.saved_split import save_split
from tunesmith.errors import DataError, UserError

HOW = Parting(0, 0.1, 0.2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "news.jsonl"
    rows = [
        {
            "text": story(number),
            "label": "ab"[number % 2],
            "author": f"author {number // 6}",
            "when": f"2024-{number // 28 + 1:02}-{number % 28 + 1:02}",
        }
        for number in range(120)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def split_of(source: Path, how: Parting) -> tuple[Dataset, Splits]:
    dataset = read(source)
    return dataset, parted(dataset, str(source), {}, {}, how)


def asked(**values: object) -> Parting:
    return Parting(**{"seed": 0, "validation_fraction": 0.1, "test_fraction": 0.2, **values})  # type: ignore[arg-type]


def codes(source: Path, how: Parting) -> list[str]:
    with pytest.raises(UserError) as caught:
        split_of(source, how)
    return [problem.code for problem in caught.value.problems]


def test_a_column_keeps_its_groups_together(source: Path) -> None:
    _, splits = split_of(source, asked(group_column="author"))
    parts = splits.part_of_row
    assert all(len(set(parts[at : at + 6].tolist())) == 1 for at in range(0, 120, 6))
    assert {0, 1, 2} == set(parts.tolist())


def test_a_column_of_dates_puts_the_latest_last(source: Path) -> None:
    _, splits = split_of(source, asked(time_column="when"))
    assert splits.part_of_row.tolist() == [0] * 84 + [1] * 12 + [2] * 24


def test_what_contradicts_itself_is_refused_at_once(source: Path) -> None:
    assert codes(source, asked(group_column="author", time_column="when")) == ["bad-parting"]
    assert codes(source, asked(fold=1)) == ["bad-parting"]
    assert codes(source, asked(saved="x.json", group_column="author")) == ["bad-parting"]
    assert codes(source, asked(group_column="writer")) == ["no-column"]
    assert codes(source, asked(time_column="author")) == ["bad-time"]
    assert codes(source, asked(saved=str(source.with_name("none.json")))) == ["no-file"]


def test_a_saved_split_is_used_as_it_is(source: Path, tmp_path: Path) -> None:
    dataset, splits = split_of(source, HOW)
    saved = tmp_path / "split.json"
    save_split(saved, dataset.sha256, 0, splits.how, parts=splits.part_of_row)
    values = json.loads(saved.read_text())
    assert (values["rows"], values["data_sha256"], values["how"]) == (120, dataset.sha256, splits.how)
    assert sorted([*values["train"], *values["validation"], *values["test"]]) == list(range(1, 121))
    again = parted(dataset, str(source), {}, {}, asked(seed=7, saved=str(saved)))
    for name in ("train", "validation", "test"):
        assert getattr(again, name).texts == getattr(splits, name).texts
    assert again.how == f"as saved: {splits.how}"


def test_a_split_of_other_data_and_a_damaged_one_are_refused(source: Path, tmp_path: Path) -> None:
    dataset, splits = split_of(source, HOW)
    saved = tmp_path / "split.json"
    save_split(saved, dataset.sha256, 0, splits.how, parts=splits.part_of_row)
    how = asked(saved=str(saved))
    with source.open("a") as stream:
        stream.write('{"text": "one more", "label": "a"}\n')
    assert codes(source, how) == ["other-data"]
    values = json.loads(saved.read_text())
    values |= {"rows": 121, "data_sha256": read(source).sha256}
    for damage in ({"train": [0]}, {"train": [122]}, {"test": values["train"]}, {"train": [1, 1]}):
        saved.write_text(json.dumps(values | damage))
        assert codes(source, how) == ["bad-split"]
    for text in ('{"rows": 3}', "[1]", json.dumps(values | {"format": 9})):
        saved.write_text(text)
        assert codes(source, how) == ["bad-split"]


def test_folds_share_out_rows_and_labels_and_each_is_the_test_once(source: Path, tmp_path: Path) -> None:
    dataset = read(source)
    folds, how = folded(dataset, str(source), HOW, 4)
    assert np.bincount(folds).tolist() == [30] * 4
    labels = np.asarray([str(label) for label in dataset.targets])
    assert all((labels[folds == fold] == "a").sum() == 15 for fold in range(4))
    saved = tmp_path / "folds.json"
    save_split(saved, dataset.sha256, 0, how, folds=folds)
    tests = []
    for fold in (1, 2, 3, 4):
        splits = parted(dataset, str(source), {}, {}, asked(saved=str(saved), fold=fold))
        tests += splits.test.texts
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (80, 10, 30)
        assert f"fold {fold} of 4 is the test" in splits.how
        assert not {*splits.train.texts, *splits.validation.texts} & {*splits.test.texts}
    assert sorted(tests) == sorted(dataset.texts)
    assert codes(source, asked(saved=str(saved))) == ["bad-parting"]
    assert codes(source, asked(saved=str(saved), fold=5)) == ["bad-parting"]


def test_folds_keep_groups_and_cannot_be_more_than_them(source: Path) -> None:
    folds, how = folded(read(source), str(source), asked(group_column="author"), 5)
    assert all(len(set(folds[at : at + 6].tolist())) == 1 for at in range(0, 120, 6))
    assert np.bincount(folds).tolist() == [24] * 5
    assert "rows of one group" in how
    with pytest.raises(DataError, match="too few different texts, or groups, for 21 folds"):
        folded(read(source), str(source), asked(group_column="author"), 21)
