"""Even shares of every label where a text may have several: iterative stratification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["stratified"]

_TRAIN = 0


def stratified(
    labels: Sequence[Sequence[str]], fractions: Sequence[float], sizes: Sequence[int] | None = None
) -> npt.NDArray[np.int64]:
    """(texts,) the part of each text, so that every part gets its fraction of every label and of the texts.

    Takes the label with the fewest texts left, and gives each of them to the part that lacks that label
    most; of equals to the one that lacks texts most. `labels` of the texts stand in the order in which they
    are given out. A part with a fraction above 0 gets a text where there are enough. Instead of texts these
    may be groups of `sizes` texts, whose labels are those of all their texts; the largest are then given out
    first.
    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, 2011.
    """
    parts = _Parts(labels, fractions, sizes or [1] * len(labels))
    while (rarest := parts.rarest()) is not None:
        parts.give_out(rarest)
    parts.give_out_rest()
    parts.fill_empty()
    return np.asarray(parts.of_text, np.int64)


class _Parts:
    """What each part still lacks while texts are given out."""

    def __init__(
        self, labels: Sequence[Sequence[str]], fractions: Sequence[float], sizes: Sequence[int]
    ) -> None:
        self.of_text = [-1] * len(labels)
        self._labels = labels
        self._sizes = sizes
        self._fractions = fractions
        self._left = Counter(label for each in labels for label in each)
        self._bearers: dict[str, list[int]] = {label: [] for label in self._left}
        for text in sorted(range(len(labels)), key=lambda text: -sizes[text]):
            for label in dict.fromkeys(labels[text]):
                self._bearers[label].append(text)
        self._lacking = [{label: share * n for label, n in self._left.items()} for share in fractions]
        self._lacking_texts = [share * sum(sizes) for share in fractions]

    def rarest(self) -> str | None:
        """The label with the fewest texts that are not given out; of equals the first by name."""
        return min(self._left, key=lambda label: (self._left[label], label), default=None)

    def give_out(self, label: str) -> None:
        """Give out every text left that bears the label."""
        for text in self._bearers[label]:
            if self.of_text[text] < 0:
                self._give(text, max(self._open(), key=lambda part: self._lack(part, label)))
        del self._left[label]

    def give_out_rest(self) -> None:
        """Give out the texts without a label."""
        for text, part in enumerate(self.of_text):
            if part < 0:
                self._give(text, max(self._open(), key=self._lacking_texts.__getitem__))

    def fill_empty(self) -> None:
        """Move a text of training to each part that should have one and has none."""
        for part in self._open():
            if part not in self.of_text and self.of_text.count(_TRAIN) > 1:
                self.of_text[self._spare()] = part

    def _spare(self) -> int:
        """The training text whose rarest label has the most training texts."""
        trained = [text for text, part in enumerate(self.of_text) if part == _TRAIN]
        counts = Counter(label for text in trained for label in self._labels[text])
        return max(trained, key=lambda text: min((counts[label] for label in self._labels[text]), default=1))

    def _open(self) -> list[int]:
        return [part for part, share in enumerate(self._fractions) if share > 0]

    def _lack(self, part: int, label: str) -> tuple[float, float]:
        return self._lacking[part][label], self._lacking_texts[part]

    def _give(self, text: int, part: int) -> None:
        self.of_text[text] = part
        self._lacking_texts[part] -= self._sizes[text]
        for label in self._labels[text]:
            self._lacking[part][label] -= 1
            if label in self._left:
                self._left[label] -= 1
