"""What the tests of the evaluate room share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rivals import Rival
from tunesmith.evaluation.types import Cost, Floats, Ints, Report
from tunesmith.task import Task

Answers = Callable[..., Floats]
MakeReport = Callable[..., Report]

CURVES = [
    {"step": 10, "epoch": 1, "train_loss": 1.2, "validation_loss": 1.1, "macro_f1": 0.5},
    {"step": 20, "epoch": 2, "train_loss": 0.6, "validation_loss": 0.8, "macro_f1": 0.75},
    {"step": 30, "epoch": 3, "train_loss": 0.3, "validation_loss": 0.9, "macro_f1": 0.7},
]


def answers(truth: Ints, labels: int, seed: int, skill: float = 1.0) -> Floats:
    """Made-up probabilities that are right the more often, the higher `skill`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(len(truth), labels))
    logits[np.arange(len(truth)), truth] += skill
    exponents = np.exp(logits)
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def unseen(labels: tuple[str, ...], rows: int, text: str = "row", seed: int = 0) -> Dataset:
    """A test set of random labels."""
    ids = np.random.default_rng(seed).integers(len(labels), size=rows)
    texts = [f"{text} {index}" for index in range(rows)]
    return dataset_of(Task(labels=labels), texts, [labels[index] for index in ids], "test.csv")


@pytest.fixture
def make_report() -> MakeReport:
    """A report on made-up answers, with a weak and a strong rival unless told otherwise."""

    def build(
        labels: tuple[str, ...] = ("business", "sport", "world"),
        rows: int = 300,
        skill: float = 2.5,
        text: str = "row",
        **given: Any,
    ) -> Report:
        test = unseen(labels, rows, text)
        truth = np.asarray(test.label_ids)
        rivals = (
            Rival("majority", "guesses", answers(truth, len(labels), 1, 0.0), 0.01, 0.001),
            Rival("TF-IDF + LR", "counts words", answers(truth, len(labels), 2, 1.5), 4.0, 0.3),
        )
        arguments: dict[str, Any] = {
            "test": test,
            "probabilities": answers(truth, len(labels), 3, skill),
            "rivals": rivals,
            "curves": CURVES,
            "cost": Cost(214.0, 3.4),
            "provenance": {"base": "embedded", "split": "said so"},
            "seed": 0,
        }
        return build_report(**arguments | given)

    return build
