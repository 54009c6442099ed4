"""What a served model needs, for models that are made up in a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.model.encode import Chunk, Encoded, in_memory
from tunesmith.predict import Prediction

__all__ = ["Served"]


class Served:
    """Lets `predict`, which answers texts, be asked in the two steps of a Predictor: a word is a token."""

    labels: tuple[str, ...] = ()
    max_tokens = 8
    _known: list[str]

    def encode(self, texts: Sequence[str], /) -> Encoded:
        """Of each text its number among those seen, once for each word that is read."""
        known = self.__dict__.setdefault("_known", [])
        known += [text for text in dict.fromkeys(texts) if text not in known]
        words = np.array([max(1, len(text.split())) for text in texts], np.int32)
        lengths = np.minimum(words, self.max_tokens).astype(np.int32)
        ids = np.repeat([known.index(text) for text in texts], lengths).astype(np.int32)
        return in_memory([Chunk(ids, lengths, words - lengths)])

    def answer(self, encoded: Encoded, /) -> list[Prediction]:
        """What `predict` says of the texts."""
        return self.predict([self._known[encoded[at][0]] for at in range(len(encoded))])

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text, in order."""
        raise NotImplementedError
