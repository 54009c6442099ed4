"""Predictor: texts -> Predictions. Evaluation, the command line and serving share it: no skew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.attributions import InTurn, at_once
from tunesmith.model.encode import Encoded, encode
from tunesmith.model.explanation import Explanation, explain
from tunesmith.model.forward import Floats, logits_of, sigmoid, softmax
from tunesmith.model.load import Classifier
from tunesmith.model.selection import Goal
from tunesmith.model.thresholds import Bools, Thresholds
from tunesmith.processes import ALONE, Processes

__all__ = ["TORCH", "Engine", "Prediction", "Predictor", "in_chunks"]

TORCH = "torch"
_CHUNK_TEXTS = 512
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label of a text, and every label's probability in label order."""

    target: str | tuple[str, ...]
    """The likeliest label; of a multi-label model the labels given, likeliest first, perhaps none."""
    scores: dict[str, float]
    truncated: bool = False
    """Whether the text was longer than the model reads."""
    tokens: int = 0
    """How many tokens of the text were read."""
    abstained: bool = False
    """Whether the likeliest label is not given, as it is not likely enough."""

    @property
    def score(self) -> float:
        """The probability of `target`, which must be one label."""
        assert isinstance(self.target, str), "each of several labels has its own: see `scores`"
        return self.scores[self.target]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels given, likeliest first: one, or of a multi-label model any number."""
        if self.abstained:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target

    def top(self, count: int | None = None) -> list[tuple[str, float]]:
        """(label, probability), the likeliest first; all labels where `count` is None."""
        return sorted(self.scores.items(), key=lambda item: -item[1])[:count]


class Engine(Protocol):
    """What computes a model's logits in place of torch."""

    name: str
    parameters: int
    size_bytes: int
    """What it takes on disk"""

    def logits(self, encoded: Encoded, micro_batch_tokens: int, /) -> Floats:
        """(texts, labels) what the head says of each text, in the order given."""


class Predictor:
    """A fine-tuned classifier that answers texts; an answer does not depend on what it is batched with."""

    def __init__(
        self,
        classifier: Classifier,
        max_tokens: int,
        micro_batch_tokens: int = 8192,
        thresholds: Thresholds | None = None,
        engine: Engine | None = None,
    ) -> None:
        """`engine` computes in place of the classifier's model, which may then be None."""
        self.classifier = classifier
        self._engine = engine
        self.max_tokens = max_tokens
        self.micro_batch_tokens = micro_batch_tokens
        self.thresholds = thresholds or Thresholds.unfitted(len(classifier.labels))
        """Of a multi-label model; a single-label one answers with its likeliest label"""
        self.min_confidence = 0.0
        """Of a single-label model: a label that is less likely is not given"""
        self.calibration = ""
        """By what its head was divided, and why; empty where that was not done just now"""
        self.goals: tuple[Goal, ...] = ()
        """From which confidence on its answers are how often right, where that was fitted just now"""

    def abstaining(self, min_confidence: float) -> Self:
        """Itself, giving no label that is less likely; raise ConfigError where a text may have several."""
        if min_confidence and self.classifier.multi_label:
            what = "a least confidence is for models that give one label; of several, each has its threshold"
            raise ConfigError(Problem("no-abstaining", what, "--min-confidence", "leave it out"))
        self.min_confidence = min_confidence
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The label names in label order."""
        return self.classifier.labels

    @property
    def engine(self) -> str:
        """What computes: `torch`, `onnx` or `onnx-int8`."""
        return self._engine.name if self._engine else TORCH

    @property
    def parameters(self) -> int:
        """How many numbers the model holds."""
        return (self._engine or self.classifier).parameters

    @property
    def size_bytes(self) -> int:
        """What the model takes on disk."""
        return (self._engine or self.classifier).size_bytes

    def computed_by(self, engine: Engine) -> Predictor:
        """The same, but that `engine` computes the logits."""
        return Predictor(self.classifier, self.max_tokens, self.micro_batch_tokens, self.thresholds, engine)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The token ids the model will read."""
        return encode(self.classifier.tokenizer, texts, self.max_tokens)

    def probabilities(self, encoded: Encoded, *, model: Any = None, processes: Processes = ALONE) -> Floats:
        """(texts, labels) probabilities; each row sums to 1 unless the model is multi-label.

        `model`: another that answers instead, such as the one in training; `processes` share the work.
        """
        as_probabilities = sigmoid if self.classifier.multi_label else softmax
        return as_probabilities(self.logits(encoded, model=model, processes=processes))

    def logits(self, encoded: Encoded, *, model: Any = None, processes: Processes = ALONE) -> Floats:
        """(texts, labels) what the head says of each text; otherwise as `probabilities`."""
        if self._engine and model is None:
            return self._engine.logits(encoded, self.micro_batch_tokens)
        pad_token_id = self.classifier.tokenizer.pad_token_id
        model = self.classifier.model if model is None else model
        return logits_of(model, encoded, len(self.labels), pad_token_id, self.micro_batch_tokens, processes)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text, in order."""
        return self.answer(self.encode(texts)) if texts else []

    def answer(self, encoded: Encoded) -> list[Prediction]:
        """One Prediction a text, in order, of texts that `encode` has read."""
        probabilities = self.probabilities(encoded)
        given = self.thresholds.given(probabilities)
        rows = zip(probabilities, given, encoded.truncated, encoded.lengths, strict=True)
        return [self._prediction(row, over, bool(cut), int(tokens)) for row, over, cut, tokens in rows]

    def explain(
        self,
        texts: Sequence[str],
        label: str | None = None,
        *,
        micro_batch_tokens: int | None = None,
        most_tokens: int | None = None,
        in_turn: InTurn = at_once,
    ) -> list[Explanation]:
        """What each token of each text does for its likeliest label, or for `label`; see `Explanation`.

        Costs a forward and a backward pass at each of 16 points or more: some fifty times a prediction. What
        is computed goes piece by piece through `in_turn`, at most `micro_batch_tokens` at a time, and of a
        long text only so many points that they fit into `most_tokens`, if given. Raises ConfigError where
        there is no such label, or no torch model that has gradients.
        """
        if self._engine:
            what = f"an explanation needs gradients, which {self.engine} does not compute"
            fix = "explain with the run that was exported, or with `--engine torch`"
            raise ConfigError(Problem("no-gradients", what, "the model", fix))
        if label is not None and label not in self.labels:
            what, known = f"{label!r} is not a label of this model", ", ".join(self.labels[:10])
            raise ConfigError(Problem("unknown-label", what, "label", f"name one of {known}"))
        answers = [] if label else in_turn(lambda: self.predict(texts))
        labels = [label] * len(texts) if label else [each.top(1)[0][0] for each in answers]
        at_most = micro_batch_tokens or self.micro_batch_tokens
        return [
            explain(
                self.classifier,
                text,
                of,
                self.max_tokens,
                at_most,
                most_tokens=most_tokens,
                in_turn=in_turn,
            )
            for text, of in zip(texts, labels, strict=True)
        ]

    def stream(self, texts: Iterable[str], *, chunk_texts: int | None = None) -> Iterator[Prediction]:
        """Predictions one by one, in order; memory does not grow with the number of texts.

        Texts are read `chunk_texts` at a time, which changes the speed and never an answer.
        """
        for chunk in in_chunks(texts, chunk_texts or _CHUNK_TEXTS):
            yield from self.predict(chunk)

    def _prediction(self, probabilities: Floats, given: Bools, truncated: bool, tokens: int) -> Prediction:
        scores = dict(zip(self.labels, probabilities.tolist(), strict=True))
        order = np.argsort(-probabilities, kind="stable")
        several = tuple(self.labels[label_id] for label_id in order if given[label_id])
        target = several if self.classifier.multi_label else self.labels[order[0]]
        abstained = not self.classifier.multi_label and bool(probabilities.max() < self.min_confidence)
        return Prediction(target, scores, truncated, tokens, abstained)


def in_chunks(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
