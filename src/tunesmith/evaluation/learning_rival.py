"""The strongest of the cheap rivals on a share of the training rows: its learning curve costs little."""

from __future__ import annotations

import time

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.predictions import Predictions, label_predictions
from tunesmith.evaluation.tfidf import tfidf_logistic_regression

__all__ = ["tfidf_predictions"]


def tfidf_predictions(train: Dataset, judged: Dataset, seed: int) -> Predictions:
    """What TF-IDF + LR, having learned from `train`, answers on `judged`."""
    rival = tfidf_logistic_regression(train, judged, seed, time.perf_counter)
    return label_predictions(judged, rival.probabilities, rival.given)
