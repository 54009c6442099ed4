"""TF-IDF of words, word pairs and runs of letters under a logistic regression: it is hard to beat."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.regression import learn, teaches
from tunesmith.evaluation.rival import (
    TFIDF,
    Clock,
    Rival,
    learnable,
    majority,
    milliseconds_each,
    of_how_many,
)

__all__ = ["WORDS", "tfidf_logistic_regression", "vectorizer_for"]

WORDS = r"(?u)\w+|[^\w\s]"
"""A mark that is no letter is a word of its own, so that no text is without words."""

_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
# choosing C looks at no more rows than this; the final fit sees them all
_CHOICE_ROWS = 4_000
# runs of letters help where rows are few, and cost several times what words cost
_MOST_ROWS_IN_LETTERS = 20_000
_LETTERS = (2, 4)
_LETTERS_READ = 2_000
# bounds the weights (terms x labels) of the regression, and with them time and memory
_MOST_TERMS = 200_000
_MOST_WEIGHTS = 2_000_000
_FEWEST_TERMS = 2_000


def tfidf_logistic_regression(train: Dataset, test: Dataset, seed: int, clock: Clock) -> Rival:
    """TF-IDF under a logistic regression, or where a text may have several labels one for each of them.

    C, and for skewed labels whether to balance them, are chosen by cross-validation.
    Where there is nothing to learn (one label, or no word) it answers as the majority does.
    """
    learned = learnable(train, seed)
    start = clock()
    if not teaches(learned):
        how = "had nothing to learn (one label, or no words), so it answers as the majority does"
        return replace(majority(train, test, clock), name=TFIDF, how=how)
    vectorizers = _vectorizers(learned)
    features = _joined([each.fit_transform(learned.texts) for each in vectorizers])
    found = learn(features, learned, seed, _STRENGTHS, _CHOICE_ROWS)
    trained = clock()
    probabilities, given = found.answer(_transformed(vectorizers, test))
    per_text = milliseconds_each(clock() - trained, len(test))
    what = "words, word pairs and runs of letters" if len(vectorizers) > 1 else "words and word pairs"
    each = " for each label" if train.task.kind == "multi_label" else ""
    how = f"weighs {what} by TF-IDF and learns a logistic regression{each} on them {found.how}"
    size = found.size_bytes + sum(map(_size, vectorizers))
    return Rival(
        TFIDF, how + of_how_many(learned, train), probabilities, trained - start, per_text, given, size
    )


def _vectorizers(rows: Dataset) -> list[Any]:
    labels = len(rows.task.labels)
    words = vectorizer_for(labels)
    if rows.task.kind == "multi_label" or len(rows) > _MOST_ROWS_IN_LETTERS:
        return [words]
    return [words, _letters(labels)]


def vectorizer_for(labels: int) -> Any:
    """TF-IDF of words and word pairs, of no more terms than `labels` regressions can weigh."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=WORDS,
        max_features=_most_terms(labels),
        dtype=np.float32,
    )


def _letters(labels: int) -> Any:
    """TF-IDF of runs of letters within words, of the beginning of each text."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=_LETTERS,
        sublinear_tf=True,
        preprocessor=_beginning,
        max_features=_most_terms(labels) // 2,
        dtype=np.float32,
    )


def _beginning(text: str) -> str:
    return text[:_LETTERS_READ].lower()


def _most_terms(labels: int) -> int:
    return max(_FEWEST_TERMS, min(_MOST_TERMS, _MOST_WEIGHTS // labels))


def _transformed(vectorizers: list[Any], rows: Dataset) -> Any:
    """(rows, terms), sparse."""
    return _joined([each.transform(chain.from_iterable(rows.text_batches())) for each in vectorizers])


def _joined(parts: list[Any]) -> Any:
    from scipy.sparse import hstack

    return hstack(parts, format="csr") if len(parts) > 1 else parts[0]


def _size(vectorizer: Any) -> int:
    """The bytes of its words, and of how much each counts."""
    return sum(len(term.encode(errors="surrogatepass")) + 5 for term in vectorizer.vocabulary_)
