"""The order picks what is in doubt and what is unlike the rest."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.labelling.order import choose, doubts, doubts_by_labelled, lots_of, nearer, vectors_of

# three subjects, of which the first is told in many ways
TEXTS = [
    "the striker scored a late goal",
    "the striker scored a goal",
    "the striker scored another late goal",
    "the striker missed the goal",
    "parliament passed the budget",
    "violins played in the concert hall",
]
OPEN = np.ones(len(TEXTS), np.bool_)
NOTHING = np.zeros(len(TEXTS))


def test_equal_texts_are_near_and_others_far() -> None:
    nearest = nearer(vectors_of(TEXTS), NOTHING, 0)
    assert nearest[0] == 1.0
    assert nearest[1] > 0.8
    assert nearest[5] < 0.2


def _first(count: int, seed: int) -> list[int]:
    """What is asked first where nothing is known."""
    vectors, nearest, is_open, asked = vectors_of(TEXTS), NOTHING, OPEN.copy(), []
    for _ in range(count):
        row = choose(is_open, nearest, None, lots_of(len(TEXTS), seed))
        assert row is not None
        asked.append(row)
        is_open[row] = False
        nearest = nearer(vectors, nearest, row)
    return asked


def test_without_doubts_the_unlike_come_first() -> None:
    found = [{4, 5} < set(_first(3, seed)) for seed in range(200)]
    # were they drawn without looking, it would be one in five
    assert sum(found) > 100


def test_without_doubts_the_chances_are_squares_of_diversity() -> None:
    nearest = np.array([0.0, 0.5, 1.0])
    drawn = [choose(np.ones(3, np.bool_), nearest, None, lots_of(3, seed)) for seed in range(2000)]
    assert drawn.count(0) / 2000 == pytest.approx(0.8, abs=0.04)
    assert drawn.count(2) == 0


def test_doubt_and_diversity_are_multiplied() -> None:
    lots = lots_of(len(TEXTS), 0)
    doubt = np.array([0.9, 0.8, 0.9, 0.2, 0.4, 0.1])
    doubt[0] = 0.95
    assert choose(OPEN, NOTHING, doubt, lots) == 0
    nearest = nearer(vectors_of(TEXTS), NOTHING, 0)
    is_open = OPEN.copy()
    is_open[0] = False
    # the second and third are in more doubt, but what they could teach is known
    assert choose(is_open, nearest, doubt, lots) == 4


def test_between_equals_the_seed_decides() -> None:
    firsts = {choose(OPEN, NOTHING, None, lots_of(len(TEXTS), seed)) for seed in range(20)}
    assert len(firsts) > 2
    assert choose(OPEN, NOTHING, None, lots_of(len(TEXTS), 7)) == choose(
        OPEN, NOTHING, None, lots_of(len(TEXTS), 7)
    )


def test_rounding_decides_nothing() -> None:
    nearest, doubt = np.array([1e-14, 0.0, 0.0]), np.ones(3)
    assert choose(np.ones(3, np.bool_), nearest, doubt, np.array([0.1, 0.2, 0.3])) == 0


def test_nothing_open_is_nothing_to_ask() -> None:
    assert choose(~OPEN, NOTHING, None, lots_of(len(TEXTS), 0)) is None


def test_doubts_are_margins() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.1, 0.3]])
    assert doubts(probabilities, several=False).tolist() == pytest.approx([0.0, 1.0, 0.7])


def test_of_several_labels_the_nearest_to_one_half_counts() -> None:
    probabilities = np.array([[1.0, 0.0], [0.9, 0.5], [0.2, 0.9]])
    assert doubts(probabilities, several=True).tolist() == pytest.approx([0.0, 1.0, 0.4])


def test_what_was_labelled_gives_doubts() -> None:
    texts = [*TEXTS, "the striker passed the budget"]
    found = doubts_by_labelled(
        vectors_of(texts), [0, 3, 4], [("sports",), ("sports",), ("politics",)], several=False
    )
    assert found is not None
    assert found.argmax() in (5, 6), "nothing that was labelled tells of these"
    assert found[6] > found[0]


def test_of_several_labels_each_is_learned() -> None:
    vectors = vectors_of(TEXTS)
    answers: list[tuple[str, ...]] = [("sports",), (), ("law", "money")]
    found = doubts_by_labelled(vectors, [0, 5, 4], answers, several=True)
    assert found is not None
    assert found.shape == (6,)
    everywhere: list[tuple[str, ...]] = [("sports",), ("sports",)]
    assert doubts_by_labelled(vectors, [0, 1], everywhere, several=True) is None


def test_one_label_teaches_no_doubt() -> None:
    assert doubts_by_labelled(vectors_of(TEXTS), [0, 1], [("sports",), ("sports",)], several=False) is None


def test_texts_without_words_have_a_place() -> None:
    vectors = vectors_of(["!", "?", "…"])
    nearest = nearer(vectors, np.zeros(3), 1)
    assert nearest.tolist() == [0.0, 1.0, 0.0]
