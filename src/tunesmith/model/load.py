"""A base's name or path -> a classifier, ready for its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.model.base import (
    EMBEDDED,
    Reader,
    base_location,
    embedded_base,
    load_reader,
    quiet_transformers,
)
from tunesmith.model.learner import Learner, load_learner, refuse_missing
from tunesmith.task import Kind

__all__ = [
    "EMBEDDED",
    "HEADS",
    "Classifier",
    "Reader",
    "base_location",
    "embedded_base",
    "load_classifier",
    "load_reader",
    "name_labels",
    "quiet_transformers",
]

HEADS = ("score.", "classifier.")
"""What the names of a head's weights begin with."""
# what transformers calls the kinds of a task; its pipelines choose softmax or sigmoid by it
_PROBLEM_TYPES: dict[Kind, str] = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
}


@dataclass(frozen=True, slots=True)
class Classifier(Learner):
    """A sequence-classification model and its tokenizer."""

    labels: tuple[str, ...]
    kind: Kind = "single_label"

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels: each then has a probability of its own."""
        return self.kind == "multi_label"


def load_classifier(
    base: str,
    labels: Sequence[str],
    *,
    kind: Kind = "single_label",
    revision: str | None = None,
    seed: int = 0,
    dropout: float | None = None,
    new_head: bool = True,
    quantization: Any = None,
) -> Classifier:
    """Load `base` with a head for `labels`, a pad token and right padding.

    A head that the base lacks, or that has other labels, is drawn anew from `seed`; without `new_head`
    it is refused instead.
    Raises BaseError: not found, no classification head in transformers, unsafe weights.
    """
    from transformers import AutoModelForSequenceClassification

    def prepare(config: Any) -> None:
        name_labels(config, labels, kind)
        config.use_cache = False

    learner, loading = load_learner(
        AutoModelForSequenceClassification,
        base,
        prepare=prepare,
        revision=revision,
        seed=seed,
        dropout=dropout,
        quantization=quantization,
    )
    # only the head may be new
    refuse_missing((name for name in loading.missing if not (new_head and name.startswith(HEADS))), base)
    return Classifier(learner.tokenizer, learner.window, learner.model, tuple(labels), kind)


def name_labels(config: Any, labels: Sequence[str], kind: Kind) -> None:
    """Tell transformers' config of a model what its head gives."""
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: label_id for label_id, label in enumerate(labels)}
    config.problem_type = _PROBLEM_TYPES[kind]
