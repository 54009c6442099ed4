"""Whether the faster training learns as well: test accuracy of the embedded base over seeds, paired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.contestants import CONTESTANTS, Job
from benchmarks.one_training import rows_of
from tunesmith.model.encode import encode
from tunesmith.model.load import load_classifier
from tunesmith.predict import Predictor

__all__ = ["same_accuracy"]

ROWS, TEST_ROWS, EPOCHS, LEARNING_RATE = 1200, 1000, 3, 5e-4
COMPARED = ("grouped", "tunesmith", "tunesmith-bf16")


def _accuracy(contestant: str, seed: int) -> float:
    train, test = rows_of("ag_news", "train", ROWS, seed), rows_of("ag_news", "test", TEST_ROWS)
    classifier = load_classifier("embedded", train.task.labels, seed=seed, dropout=0.1)
    encoded = encode(classifier.tokenizer, train.texts, 512)
    labels = np.asarray(train.label_ids, np.int64)
    job = Job(encoded, labels, len(train.task.labels), EPOCHS, LEARNING_RATE, seed, 512)
    CONTESTANTS[contestant](classifier.model, job)
    predictor = Predictor(classifier, 512, 8192)
    probabilities = predictor.probabilities(predictor.encode(test.texts))
    return float((probabilities.argmax(-1) == np.asarray(test.label_ids)).mean())


def same_accuracy(seeds: int, contestants: Sequence[str]) -> dict[str, Any]:
    """Accuracies by contestant and seed, and 95 % intervals of the paired differences to Trainer's."""
    torch.manual_seed(0)
    compared = [name for name in COMPARED if name in contestants]
    found = {name: [_accuracy(name, seed) for seed in range(seeds)] for name in compared}
    base = np.asarray(found["grouped"])
    intervals = {}
    for name in compared[1:]:
        differences = np.asarray(found[name]) - base
        half = student(seeds - 1) * differences.std(ddof=1) / np.sqrt(seeds)
        intervals[name] = [float(differences.mean() - half), float(differences.mean() + half)]
    return {"rows": ROWS, "epochs": EPOCHS, "accuracy": found, "difference_95": intervals}


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))
