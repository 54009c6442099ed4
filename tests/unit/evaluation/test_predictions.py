"""What was answered goes to disk and back, row by row, and no text goes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.evaluation.conftest import answers, unseen
from tunesmith.data.dataset import dataset_of
from tunesmith.errors import StorageError
from tunesmith.evaluation.predictions import (
    Predictions,
    label_predictions,
    read_predictions,
    written_predictions,
)
from tunesmith.task import Task


def _kept(found: Predictions, path: Path) -> Predictions:
    path.write_bytes(found.to_bytes())
    return read_predictions(path)


def _several() -> Predictions:
    targets = [("a", "b"), (), ("c",), ("a",)]
    test = dataset_of(Task(kind="multi_label", labels=("a", "b", "c")), list("wxyz"), targets, "test.csv")
    probabilities = np.array([[0.9, 0.2, 0.1], [0.1, 0.1, 0.6], [0.2, 0.3, 0.8], [0.9, 0.1, 0.2]])
    return label_predictions(test, probabilities, probabilities > 0.5)


def test_one_label_goes_round(tmp_path: Path) -> None:
    test = unseen(("a", "b", "c"), 50)
    found = label_predictions(test, answers(np.asarray(test.label_ids), 3, 1))
    again = _kept(found, tmp_path / "p.parquet")
    assert (again.kind, again.labels, again.files) == (found.kind, found.labels, ("test.csv",))
    assert again.where(3) == found.where(3) == "test.csv:4"
    assert again.keys.tolist() == found.keys.tolist()
    assert again.truth.tolist() == found.truth.tolist()
    assert again.probabilities is not None
    assert found.probabilities is not None
    assert np.allclose(again.probabilities, found.probabilities, atol=1e-7)
    assert again.right.tolist() == found.right.tolist()


def test_several_labels_go_round(tmp_path: Path) -> None:
    again = _kept(_several(), tmp_path / "p.parquet")
    assert again.given is not None
    assert again.given.tolist() == [
        [True, False, False],
        [False, False, True],
        [False, False, True],
        [True, False, False],
    ]
    assert again.right.tolist() == [False, False, True, True]


def test_scores_of_written_answers_go_round(tmp_path: Path) -> None:
    test = dataset_of(Task(kind="completion", target_column="completion"), ["p", "q"], ["x", "y"])
    scores = {"rouge_l": np.array([0.25, 1.0]), "exact_match": np.array([0.0, 1.0])}
    again = _kept(written_predictions(test, scores), tmp_path / "p.parquet")
    assert again.right.tolist() == [False, True]
    assert again.scores["rouge_l"].tolist() == [0.25, 1.0]
    assert (again.kind, again.labels, again.probabilities) == ("completion", (), None)


def test_no_text_is_kept() -> None:
    test = dataset_of(Task(labels=("a", "b")), ["a secret of mine"] * 2, ["a", "b"])
    assert b"secret" not in label_predictions(test, np.full((2, 2), 0.5)).to_bytes()


def test_labels_can_be_put_in_another_order() -> None:
    test = unseen(("a", "b", "c"), 40)
    found = label_predictions(test, answers(np.asarray(test.label_ids), 3, 1))
    turned = found.in_order(("c", "a", "b"))
    assert turned.right.tolist() == found.right.tolist()
    assert [turned.labels[at] for at in turned.truth] == [found.labels[at] for at in found.truth]
    several = _several()
    assert several.in_order(("b", "c", "a")).right.tolist() == several.right.tolist()


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all"])
def test_a_damaged_file_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(data)
    with pytest.raises(StorageError) as told:
        read_predictions(path)
    assert told.value.problems[0].code == "bad-predictions"


def test_another_parquet_file_is_no_predictions(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"key": [1]}), tmp_path / "p.parquet")
    with pytest.raises(StorageError, match="bad-predictions"):
        read_predictions(tmp_path / "p.parquet")
