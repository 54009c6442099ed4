"""Which documents share a run of words with texts that models are judged on."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["WORDS", "Forbidden"]

WORDS = 13
"""As many in a row are no coincidence. Source: Brown et al., Language Models are Few-Shot Learners, 2020."""
_WORD = re.compile(r"[^\W_]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


class Forbidden:
    """The runs of 13 words in some texts; of a text with fewer words, all of it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        found = [self._runs(text, grows=True) for text in texts]
        self._runs_of_all: Hashes = np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))

    def __len__(self) -> int:
        return len(self._runs_of_all)

    def is_in(self, text: str) -> bool:
        """Whether `text` shares a run with them, or is one of the short ones."""
        runs = self._runs(text, grows=False)
        at = np.searchsorted(self._runs_of_all, runs)
        return bool((self._runs_of_all.take(at, mode="clip") == runs).any()) if len(self) else False

    def _runs(self, text: str, *, grows: bool) -> Hashes:
        """A hash of every run of words; words that no judged text has are 0 and match nothing."""
        numbers = self._numbers
        words = _WORD.findall(text.casefold())
        if grows:
            ids = [numbers.setdefault(word, len(numbers) + 1) for word in words]
        else:
            ids = [numbers.get(word, 0) for word in words]
        if not ids:
            return np.zeros(0, np.uint64)
        row = np.array(ids, np.uint64)
        length = min(WORDS, len(row))
        windows = np.lib.stride_tricks.sliding_window_view(row, length)  # (runs, length)
        known = windows[(windows > 0).all(1)]
        hashes = np.full(len(known), length, np.uint64)
        for place in range(length):
            hashes = (hashes ^ known[:, place]) * _FACTOR
            hashes ^= hashes >> np.uint64(29)
        return hashes
