"""Which text is worth asking about next: one that is in doubt, and unlike those that were asked about.

Uncertainty x diversity. Diversity is the distance to the nearest labelled text. Before there is any
uncertainty, texts are drawn with chances by the square of that distance: Arthur and Vassilvitskii, k-means++:
The Advantages of Careful Seeding, 2007. The farthest alone would be outliers. Uncertainty is by the margin
between the two likeliest labels: Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information
Extraction, 2001.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "choose", "doubts", "doubts_by_labelled", "lots_of", "nearer", "vectors_of"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MOST_TERMS = 100_000
_ITERATIONS = 200
_STRENGTH = 10.0
# what differs by less is equal, so that rounding decides nothing
_DIGITS = 9


def vectors_of(texts: Sequence[str]) -> Any:
    """(texts, terms) sparse TF-IDF of words, each row of length 1, or of zeros where it has no word."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=_MOST_TERMS)
    try:
        return csr_array(vectorizer.fit_transform(texts))
    except ValueError:  # no text has a word
        return csr_array((len(texts), 1))


def nearer(vectors: Any, nearest: Floats, row: int) -> Floats:
    """(texts,) the cosine similarity of each to the nearest labelled text, once `row` is one as well."""
    similar = (vectors @ vectors[[row]].T).toarray().ravel()
    similar[row] = 1.0  # of a text without words as well
    found: Floats = np.maximum(nearest, similar)
    return found


def doubts(probabilities: npt.NDArray[Any], *, several: bool) -> Floats:
    """(texts,) how much in doubt each is, from 0 to 1; `probabilities` are (texts, labels).

    Of one label a text by the margin between the two likeliest; where there may be `several`, by the label
    that is nearest to one half.
    """
    if several:
        closest: Floats = (1 - np.abs(2 * probabilities - 1)).max(axis=1)
        return closest
    ordered = np.sort(probabilities, axis=1)
    margins: Floats = 1 - (ordered[:, -1] - ordered[:, -2])
    return margins


def doubts_by_labelled(
    vectors: Any, rows: Sequence[int], answers: Sequence[tuple[str, ...]], *, several: bool
) -> Floats | None:
    """The doubts of a logistic regression that has learned the `answers` to `rows`.

    None where no two labels have examples.
    """
    columns = _columns(answers, several=several)
    if len(columns) < (1 if several else 2):
        return None
    if several:
        learned = [_learned(vectors, rows, column)[:, 1] for column in columns]
        return doubts(np.stack(learned, axis=1), several=True)
    return doubts(_learned(vectors, rows, np.stack(columns).argmax(axis=0)), several=False)


def _columns(answers: Sequence[tuple[str, ...]], *, several: bool) -> list[Bools]:
    """(rows,) who bears it, of every label that can be learned."""
    labels = sorted({label for given in answers for label in given})
    borne = [np.asarray([label in given for given in answers]) for label in labels]
    return [column for column in borne if not several or not column.all()]


def _learned(vectors: Any, rows: Sequence[int], targets: npt.NDArray[Any]) -> Floats:
    """(texts, classes) probabilities."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors[list(rows)], targets)
    probabilities: Floats = model.predict_proba(vectors)
    return probabilities


def lots_of(count: int, seed: int) -> Floats:
    """(texts,) the lot of each, the smaller the sooner its turn; of the exponential distribution."""
    return np.random.default_rng(seed).exponential(size=count)


def choose(is_open: Bools, nearest: Floats, uncertain: Floats | None, lots: Floats) -> int | None:
    """The open text with most uncertainty x diversity, None where none is open; all are (texts,).

    Where nothing is known of uncertainty, one is drawn by the square of its diversity: the least of lots that
    are divided by weights is each one's with a chance in proportion to its weight.
    """
    places = np.flatnonzero(is_open)
    if not places.size:
        return None
    diversity, drawn = 1 - nearest[places], lots[places]
    worth = diversity**2 / drawn if uncertain is None else diversity * uncertain[places]
    best = np.lexsort((drawn, -np.round(worth, _DIGITS)))[0]
    return int(places[best])
