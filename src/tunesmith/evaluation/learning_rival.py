"""The strongest of the cheap rivals on a share of the training rows: its learning curve costs little."""

from __future__ import annotations

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.multilabel_rivals import run_multilabel_rivals
from tunesmith.evaluation.predictions import Predictions, label_predictions
from tunesmith.evaluation.rivals import TFIDF, run_rivals

__all__ = ["tfidf_predictions"]


def tfidf_predictions(train: Dataset, judged: Dataset, seed: int) -> Predictions:
    """What TF-IDF + LR, having learned from `train`, answers on `judged`."""
    run = run_multilabel_rivals if train.task.kind == "multi_label" else run_rivals
    rival = next(each for each in run(train, judged, seed) if each.name == TFIDF)
    return label_predictions(judged, rival.probabilities, rival.given)
