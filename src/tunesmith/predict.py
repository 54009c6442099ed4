"""Predictor: texts -> Predictions. Evaluation, the command line and serving share it: no skew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from tunesmith.model.encode import Encoded, encode
from tunesmith.model.forward import Floats, logits_of, softmax
from tunesmith.model.load import Classifier

__all__ = ["Prediction", "Predictor", "in_chunks"]

_CHUNK_TEXTS = 512
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest label of a text, and every label's probability in label order."""

    target: str
    scores: dict[str, float]
    truncated: bool = False
    """Whether the text was longer than the model reads."""
    tokens: int = 0
    """How many tokens of the text were read."""

    @property
    def score(self) -> float:
        """The probability of `target`."""
        return self.scores[self.target]

    def top(self, count: int | None = None) -> list[tuple[str, float]]:
        """(label, probability), the likeliest first; all labels where `count` is None."""
        return sorted(self.scores.items(), key=lambda item: -item[1])[:count]


class Predictor:
    """A fine-tuned classifier that answers texts; an answer does not depend on what it is batched with."""

    def __init__(self, classifier: Classifier, max_tokens: int, micro_batch_tokens: int = 8192) -> None:
        self.classifier = classifier
        self.max_tokens = max_tokens
        self.micro_batch_tokens = micro_batch_tokens

    @property
    def labels(self) -> tuple[str, ...]:
        """The label names in label order."""
        return self.classifier.labels

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The token ids the model will read."""
        return encode(self.classifier.tokenizer, texts, self.max_tokens)

    def probabilities(self, encoded: Encoded) -> Floats:
        """(texts, labels) probabilities; each row sums to 1."""
        pad_token_id = self.classifier.tokenizer.pad_token_id
        model, labels = self.classifier.model, len(self.labels)
        return softmax(logits_of(model, encoded, labels, pad_token_id, self.micro_batch_tokens))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text, in order."""
        if not texts:
            return []
        encoded = self.encode(texts)
        rows = zip(self.probabilities(encoded), encoded.truncated, encoded.lengths, strict=True)
        return [self._prediction(row, bool(cut), int(tokens)) for row, cut, tokens in rows]

    def stream(self, texts: Iterable[str], *, chunk_texts: int | None = None) -> Iterator[Prediction]:
        """Predictions one by one, in order; memory does not grow with the number of texts.

        Texts are read `chunk_texts` at a time, which changes the speed and never an answer.
        """
        for chunk in in_chunks(texts, chunk_texts or _CHUNK_TEXTS):
            yield from self.predict(chunk)

    def _prediction(self, probabilities: Floats, truncated: bool, tokens: int) -> Prediction:
        scores = dict(zip(self.labels, probabilities.tolist(), strict=True))
        return Prediction(self.labels[int(np.argmax(probabilities))], scores, truncated, tokens)


def in_chunks(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
