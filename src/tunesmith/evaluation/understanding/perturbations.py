"""Ways to type the same text otherwise, as people do: they change how it is written, not what it says."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PERTURBATIONS", "TYPO_RATE", "Perturbation", "mistype"]

TYPO_RATE = 0.05
"""The share of words that are mistyped."""
_WORD = re.compile(r"\w+")
# a typo in a shorter word would often make another word of it
_SHORTEST_WORD = 4
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    """The keys beside each on a QWERTY keyboard, whose rows begin half a key right of those above."""
    found: dict[str, str] = {}
    for row, keys in enumerate(_ROWS):
        for at, key in enumerate(keys):
            beside, above, below = ((0, -1), (0, 1)), ((-1, 0), (-1, 1)), ((1, -1), (1, 0))
            near = [(row + down, at + right) for down, right in beside + above + below]
            found[key] = "".join(
                _ROWS[line][place] for line, place in near if 0 <= line < 3 and 0 <= place < len(_ROWS[line])
            )
    return found


_NEIGHBOURS = _neighbours()


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A way to change a text, given chance."""

    name: str
    how: str
    change: Callable[[str, random.Random], str]


def mistype(text: str, chance: random.Random, rate: float = TYPO_RATE) -> str:
    """The text with one typo in a share `rate` of its words of four characters or more.

    Two letters change places, one is left out, one is doubled, or a key beside it is hit. A text with any
    such word has one typo at least.
    """
    words = [found for found in _WORD.finditer(text) if len(found[0]) >= _SHORTEST_WORD]
    if not words:
        return text
    count = max(1, round(rate * len(words)))
    parts, end = [], 0
    for at in sorted(chance.sample(range(len(words)), count)):
        parts += [text[end : words[at].start()], _typo(words[at][0], chance)]
        end = words[at].end()
    return "".join([*parts, text[end:]])


def _typo(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word) - 1)
    match chance.choice(("swapped", "dropped", "doubled", "beside")):
        case "swapped" if word[at] != word[at + 1]:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case "dropped":
            return word[:at] + word[at + 1 :]
        case "beside" if near := _NEIGHBOURS.get(word[at].lower()):
            key = chance.choice(near)
            return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]
        case _:
            return word[: at + 1] + word[at:]


def _without_punctuation(text: str) -> str:
    """Punctuation becomes white space between words, and nothing at their ends."""
    spaced = "".join(" " if unicodedata.category(char).startswith("P") else char for char in text)
    return " ".join(spaced.split())


PERTURBATIONS = (
    Perturbation("lower case", "every letter in lower case", lambda text, _: text.lower()),
    Perturbation("UPPER CASE", "every letter in upper case", lambda text, _: text.upper()),
    Perturbation(
        "typos",
        f"in {100 * TYPO_RATE:.0f} % of the words, at least one a text, letters are swapped, left out or "
        "doubled, or the key beside is hit",
        mistype,
    ),
    Perturbation("no punctuation", "without any punctuation", lambda text, _: _without_punctuation(text)),
)
