"""What people hand to an estimator -> texts, labels and weights that can be learned from, or a ValueError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_consistent_length

from tunesmith.model.forward import Floats

__all__ = ["classes_in", "labels_of", "texts_of", "weights_of"]

Labels = npt.NDArray[Any]


def texts_of(given: Any) -> list[str]:
    """The texts of a list, an array or a column of a table; raise ValueError where one is none, or empty."""
    if isinstance(given, (str, bytes)):
        raise ValueError("a list of texts is expected, and this is one text; reshape it: [text]")
    shape = getattr(given, "shape", None)
    if shape is not None and len(shape) != 1:
        what = f"a list of texts is expected, or an array of one dimension, and this has the shape {shape}"
        raise ValueError(f"{what}; take one column, such as table['text'] or array[:, 0]")
    texts = list(given)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {row} is no text but {_shown(text)}; texts are strings, without NaN")
        if not text.strip():
            raise ValueError(f"text {row} is empty; fill it in, or leave the row out")
    return [str(text) for text in texts]


def _shown(value: Any) -> str:
    shown = repr(value)
    kind = type(value).__name__
    return f"a {kind}: {shown if len(shown) < 60 else shown[:60] + '…'}"


def labels_of(given: Any, texts: Sequence[str], estimator: str) -> Labels:
    """(rows,) the label of each text; raise ValueError where they are not one for each."""
    if given is None:
        raise ValueError(f"{estimator} requires y to be passed, but the target y is None")
    labels = column_or_1d(given, warn=True)
    if labels.dtype == object and any(label is None for label in labels):
        raise ValueError("Input y contains None; a row without a label cannot be learned from")
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    check_consistent_length(texts, labels)
    return np.asarray(labels)


def weights_of(given: Any, texts: Sequence[str]) -> Floats | None:
    """(rows,) how much each text counts, None where all count alike; raise ValueError below zero."""
    if given is None:
        return None
    weights: Floats = _check_sample_weight(given, texts, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`")
    if not weights.any():
        raise ValueError("all values of `sample_weight` are zero: nothing is left to learn from")
    return weights


def classes_in(labels: Labels, estimator: str) -> tuple[Labels, npt.NDArray[np.int64]]:
    """The classes in order, and (rows,) which of them each label is; raise ValueError where there is one."""
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        only = (
            f"and the data has only one class: {classes.tolist()[0]!r}"
            if len(classes)
            else "and there is none"
        )
        raise ValueError(f"{estimator} needs at least 2 classes to tell apart, {only}")
    return classes, codes
