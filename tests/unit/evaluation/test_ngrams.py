"""Linear n-grams see the order of words, forget what they have not learned, and say how large they are."""

from __future__ import annotations

import numpy as np

from tests.unit.evaluation.test_rivals import made_of, topics
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.ngrams import linear_ngrams
from tunesmith.evaluation.types import Floats


def test_they_learn_topics_and_give_probabilities() -> None:
    train, test = topics({"sport": 40, "politics": 30, "food": 30}), topics({"sport": 9, "food": 9}, seed=1)
    found = linear_ngrams(train, test, 0, Budget())
    assert measure(np.asarray(test.label_ids), found.probabilities)["accuracy"] == 1.0
    assert np.allclose(found.probabilities.sum(axis=1), 1)


def test_word_pairs_tell_what_words_alone_cannot() -> None:
    texts = ["not good but bad", "not bad but good"] * 20
    data = made_of(texts, ["a", "b"] * 20)
    found = linear_ngrams(data, data, 0, Budget())
    assert found.probabilities.argmax(axis=1).tolist() == [0, 1] * 20


def test_words_that_training_lacks_say_nothing() -> None:
    train = topics({"sport": 20, "politics": 20})
    test = made_of(["zebra xylophone", "quagga"], ["sport", "politics"], labels=train.task.labels)

    def odds(probabilities: Floats) -> Floats:
        return probabilities / probabilities[:, :1]

    answered = linear_ngrams(train, test, 0, Budget()).probabilities
    assert np.allclose(odds(answered), 1)


def test_its_size_is_that_of_what_it_keeps() -> None:
    one = made_of(["x", "y"] * 4, ["a", "b"] * 4)
    # two words: bucket and sixteen numbers each, and as many for each of two labels
    assert linear_ngrams(one, one, 0, Budget()).size_bytes == 4 * (2 + 2 * 16 + 2 * 16)
