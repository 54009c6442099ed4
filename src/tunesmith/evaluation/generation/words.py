"""Text -> words, and what two texts have in common; the same for every script."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby

__all__ = ["longest_common", "rouge_l", "tokens", "word_f1", "words"]

# scripts that put no space between words: there, every character counts as a word
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),  # Han, as the rest
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


class _Spaced(dict[int, str]):
    """A translation, filled as characters occur: what belongs to no word becomes a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        in_word = unicodedata.category(character)[0] in "LMN"
        alone = any(low <= code <= high for low, high in _UNSPACED)
        self[code] = f" {character} " if in_word and alone else character if in_word else " "
        return self[code]


_SPACED = _Spaced()


def words(text: str) -> list[str]:
    """The words in lower case, without punctuation; on ASCII text those of rouge-score, unstemmed."""
    return text.lower().translate(_SPACED).split()


def tokens(text: str) -> list[str]:
    """`text` cut so that joining gives it back: words with case, and whatever stands between them."""
    parts: list[str] = []
    for kind, group in groupby(text, _kind):
        characters = list(group)
        parts += ["".join(characters)] if kind else characters
    return parts


def _kind(character: str) -> str:
    """What may be joined with its like; empty for what stands alone."""
    if character.isspace():
        return "space"
    return "word" if _SPACED[ord(character)] == character else ""


def rouge_l(reference: str, answer: str) -> float:
    """The F1 of the longest common subsequence of words: rouge-score's ROUGE-L.

    Texts without any word are compared as they are, so that equal texts score 1.
    """
    one, other = _comparable(reference), _comparable(answer)
    return 2 * longest_common(one, other) / (len(one) + len(other))


def word_f1(reference: str, answer: str) -> float:
    """The F1 of the words in common, order aside: SQuAD's F1, but articles are words too."""
    one, other = _comparable(reference), _comparable(answer)
    return 2 * (Counter(one) & Counter(other)).total() / (len(one) + len(other))


def _comparable(text: str) -> list[str]:
    return words(text) or [text.strip()]


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, one row of its table in the bits of one number.

    Hyyrö, Bit-parallel LCS-length computation revisited (2004).
    """
    places: defaultdict[str, int] = defaultdict(int)
    for index, word in enumerate(one):
        places[word] |= 1 << index
    everywhere = (1 << len(one)) - 1
    unmatched = everywhere
    for word in other:
        matched = unmatched & places.get(word, 0)
        unmatched = ((unmatched + matched) | (unmatched - matched)) & everywhere
    return len(one) - unmatched.bit_count()
