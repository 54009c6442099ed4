"""Texts -> their words as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import Rows
from tunesmith.evaluation.tfidf import WORDS

__all__ = ["texts_of", "word_features"]

_MOST_WORDS = 100_000


def word_features(texts: Sequence[str], *, pairs: bool) -> tuple[Any, Any]:
    """(texts, words) TF-IDF of words, and word pairs, with the vectorizer; of no word at all no column."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2 if pairs else 1),
        sublinear_tf=True,
        token_pattern=WORDS,
        max_features=_MOST_WORDS,
        dtype=np.float32,
    )
    return vectorizer.fit_transform(texts), vectorizer


def texts_of(dataset: Dataset, rows: Rows) -> list[str]:
    """The texts of some rows, in their order."""
    return dataset.take(rows).texts
