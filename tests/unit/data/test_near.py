"""Texts that say nearly the same: beside every pair compared by its definition."""

from __future__ import annotations

import random
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tunesmith.data.near import LEAST_ALIKE, _Runs, near_groups

Rows = npt.NDArray[np.int64]
WORDS = [f"word{number}" for number in range(300)]


def groups_of(*chunks: list[str]) -> Rows:
    return near_groups(pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks], pa.string()))


def text(chance: random.Random, length: int = 40) -> str:
    return " ".join(chance.choices(WORDS, k=length))


def changed(words: str, chance: random.Random, count: int) -> str:
    parts = words.split()
    for at in chance.sample(range(len(parts)), count):
        parts[at] = "changed"
    return " ".join(parts)


def share(one: str, other: str) -> float:
    def runs(of: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[^\W_]+", of.casefold())
        return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}

    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_near_texts_are_found_and_no_others(count: int) -> None:
    chance = random.Random(count)
    originals = [text(chance) for _ in range(300)]
    copies = [changed(each, chance, count) for each in originals]
    groups = groups_of(originals[:150], originals[150:] + copies)
    assert (groups[:300] == np.arange(300)).all()
    near = np.array([share(*pair) >= LEAST_ALIKE for pair in zip(originals, copies, strict=True)])
    found = groups[300:] == np.arange(300)
    assert not found[~near].any()
    assert found[near].sum() >= 0.97 * near.sum()
    assert near.all() == (count <= 2)
    assert near.any() == (count <= 3)


def test_equal_texts_are_near_whatever_their_case_and_signs() -> None:
    one = "The team won the cup in the last minute of the final."
    groups = groups_of([one, "other words that are not at all like those before", one.upper() + "!!"])
    assert groups.tolist() == [0, 1, 0]


@pytest.mark.parametrize("texts", [[], [""], ["thanks a lot", "thanks a lot"], ["a b c d e f g"] * 2])
def test_short_texts_are_near_to_none(texts: list[str]) -> None:
    assert groups_of(texts).tolist() == list(range(len(texts)))


def test_chains_of_near_texts_are_one_group() -> None:
    chance = random.Random(1)
    chain = [text(chance, 60)]
    for _ in range(3):
        chain.append(changed(chain[-1], chance, 2))
    noise = [text(chance) for _ in range(5)]
    assert share(chain[0], chain[3]) < share(chain[0], chain[1])
    assert groups_of([*noise, *chain]).tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 5]


def test_long_texts_are_compared_in_full() -> None:
    chance = random.Random(2)
    originals = [text(chance, 500) for _ in range(60)]
    copies = [changed(each, chance, count) for each, count in zip(originals, [20, 60] * 30, strict=True)]
    near = [share(*pair) >= LEAST_ALIKE for pair in zip(originals, copies, strict=True)]
    found = groups_of(originals + copies)[60:] == np.arange(60)
    assert near == [True, False] * 30
    assert found[::2].mean() > 0.95
    assert not found[1::2].any()


def test_no_texts_at_all() -> None:
    assert groups_of().size == 0


def test_many_texts_at_once_have_the_runs_that_one_has() -> None:
    chance = random.Random(3)
    odd = [
        "ÄÖÜ, straße – it's 3.5 km_long!",
        "",
        "\u0130stanbul a b c d e f g h",
        "日本 語 の 文 は 長い で す ね え",
    ]
    texts = [*odd, *(text(chance, count) for count in range(60)), "a b c " * 50, None]
    runs = _Runs(pa.chunked_array([pa.array(texts[:30], pa.string()), pa.array(texts[30:], pa.string())]))
    for start, kept, counts in runs.pieces():
        parts = np.split(kept, np.cumsum(counts)[:-1])
        for row, part in enumerate(parts, start):
            if row != 2:  # Arrow and Python make other small letters of this capital
                assert part.tolist() == runs.of_row(row)[:64].tolist()
    assert runs.of_row(len(texts) - 2).size == 3
