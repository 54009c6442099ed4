"""What many texts have in common, and what should stand in none: beginnings, ends, addresses, numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["PERSONAL", "Common", "Traits", "traits_of"]

_SAMPLE_TEXTS = 10_000
_WORDS_OF_AN_END = 2
_MOST_WORDS = 20
_LEAST_SHARE, _FEWEST_TEXTS = 0.05, 20
_STAYS = 0.9  # of the texts with a beginning, those that must go on alike for it to be longer

_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_PHONE = re.compile(r"(?<![\w.,/-])(?:\+\d{1,3}[ .-]?)(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,}(?![\w/-])")
_PHONE_AT_HOME = re.compile(r"(?<![\w.,/-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w/-])")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")


# every number below has five digits or more, with at most three signs between two of them
_DIGITS = re.compile(r"\d(?:[ .()-]{0,3}\d){4}")


def _mails(text: str) -> bool:
    return "@" in text and _MAIL.search(text) is not None


def _phones(text: str) -> bool:
    return _PHONE.search(text) is not None or _PHONE_AT_HOME.search(text) is not None


def _cards(text: str) -> bool:
    return any(_is_card(found[0]) for found in _CARD.finditer(text))


def _is_card(number: str) -> bool:
    """By Luhn's check digit, and by what card numbers begin with."""
    digits = [int(char) for char in number if char.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


PERSONAL: dict[str, Callable[[str], bool]] = {
    "an e-mail address": _mails,
    "a telephone number": _phones,
    "a number like a payment card's": _cards,
}
"""Name -> whether a text holds what looks like one."""


@dataclass(frozen=True, slots=True)
class Common:
    """Words that many texts begin or end with."""

    words: str
    share: float
    first: int
    """The number of the first text that has them, from 0"""
    at_end: bool


@dataclass(slots=True)
class Traits:
    """What was found in all texts, or in a sample of many."""

    personal: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PERSONAL})
    """Name -> the numbers of the texts that hold one"""
    common: list[Common] = field(default_factory=list)


def traits_of(batches: Iterable[list[str]], count: int) -> Traits:
    """Look through `count` texts; beginnings and ends are counted in at most 10,000, evenly drawn."""
    found = Traits()
    every = -(-count // _SAMPLE_TEXTS) if count else 1
    sample: list[tuple[int, list[str], list[str]]] = []
    for number, text in enumerate(text for batch in batches for text in batch):
        if "@" in text or _DIGITS.search(text):
            for name, holds in PERSONAL.items():
                if holds(text):
                    found.personal[name].append(number)
        if number % every == 0 and len(words := text.split()) >= _MOST_WORDS:
            sample.append((number, words[:_MOST_WORDS], words[: -_MOST_WORDS - 1 : -1]))
    found.common = [*_common(sample, at_end=False), *_common(sample, at_end=True)]
    return found


def _common(sample: list[tuple[int, list[str], list[str]]], *, at_end: bool) -> Iterator[Common]:
    ends = [(number, backward if at_end else forward) for number, forward, backward in sample]
    counts = Counter(tuple(words[:_WORDS_OF_AN_END]) for _, words in ends)
    for start, count in counts.most_common():
        if count < max(_FEWEST_TEXTS, _LEAST_SHARE * len(sample)):
            return
        with_start = [(number, words) for number, words in ends if tuple(words[:_WORDS_OF_AN_END]) == start]
        words, kept = _longest([words for _, words in with_start])
        first = next(number for number, each in with_start if each[: len(words)] == words)
        yield Common(" ".join(words[::-1] if at_end else words), kept / len(sample), first, at_end)


def _longest(ends: list[list[str]]) -> tuple[list[str], int]:
    """What nearly all go on with, and how many do."""
    length = _WORDS_OF_AN_END
    while length < _MOST_WORDS:
        word, count = Counter(words[length] for words in ends).most_common(1)[0]
        if count < _STAYS * len(ends):
            break
        ends = [words for words in ends if words[length] == word]
        length += 1
    return ends[0][:length], len(ends)
