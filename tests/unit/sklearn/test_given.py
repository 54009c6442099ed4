"""What may be given to an estimator as texts, labels and weights, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

from tunesmith.sklearn.given import classes_in, labels_of, texts_of, weights_of

TEXTS = ["one", "two"]


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS),
        pd.Series(TEXTS, index=[7, 3], dtype=object),
        (text for text in TEXTS),
    ],
)
def test_texts_come_in_many_forms(given: Any) -> None:
    found = texts_of(given)
    assert found == TEXTS
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("one text", "this is one text; reshape it"),
        (np.array([TEXTS]), r"shape \(1, 2\); take one column"),
        (pd.DataFrame({"text": TEXTS}), r"shape \(2, 1\); take one column, such as table\['text'\]"),
        (["one", ["two"]], "text 1 is no text but a list"),
        (["one", None], "text 1 is no text but a NoneType: None"),
        (pd.Series(["one", np.nan]), "text 1 is no text but a float: nan"),
        ([b"one"], "text 0 is no text but a bytes"),
        ([1.5], "text 0 is no text but a float"),
        (["one", " \n"], "text 1 is empty"),
    ],
)
def test_what_is_no_text_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        texts_of(given)


@pytest.mark.parametrize(
    "given",
    [["a", "b"], np.array([3, 1]), [True, False], pd.Series(["a", "b"]), np.array(["a", "b"], object)],
)
def test_labels_keep_their_type(given: Any) -> None:
    assert labels_of(given, TEXTS, "It").dtype == np.asarray(given).dtype


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "It requires y to be passed"),
        (["a"], "inconsistent numbers of samples"),
        ([1.0, np.nan], "Input y contains NaN"),
        (np.array(["a", np.nan], object), "contains NaN"),
        (np.array(["a", None], object), "Input y contains None"),
        ([0.5, 1.5], "Unknown label type: continuous"),
        ([["a", "b"], ["b", "c"]], "y should be a 1d array"),
    ],
)
def test_what_is_no_label_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        labels_of(given, TEXTS, "It")


def test_a_column_of_labels_is_flattened_aloud() -> None:
    with pytest.warns(DataConversionWarning):
        assert labels_of([["a"], ["b"]], TEXTS, "It").tolist() == ["a", "b"]


def test_classes_are_sorted() -> None:
    classes, codes = classes_in(np.array(["b", "a", "b"]), "It")
    assert (classes.tolist(), codes.tolist()) == (["a", "b"], [1, 0, 1])


@pytest.mark.parametrize("labels", [["a", "a"], []])
def test_one_class_cannot_be_told_apart(labels: list[str]) -> None:
    with pytest.raises(ValueError, match="It needs at least 2 classes to tell apart"):
        classes_in(np.array(labels), "It")


def test_weights_are_numbers_or_nothing() -> None:
    found = weights_of([1, 2], TEXTS)
    assert found is not None
    assert found.tolist() == [1.0, 2.0]
    assert weights_of(None, TEXTS) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1.0], "sample_weight.shape"),
        ([[1.0, 2.0]], "1D array or scalar"),
        ([1.0, np.nan], "NaN"),
        ([1.0, -1.0], "Negative values"),
        ([0.0, 0.0], "zero"),
    ],
)
def test_what_is_no_weight_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        weights_of(given, TEXTS)
