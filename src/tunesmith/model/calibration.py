"""The temperature that makes a model as sure as it is right, fitted on validation rows.

Source: Guo et al., On Calibration of Modern Neural Networks, 2017; the targets are those of Platt, 1999, so
that few rows that are all right do not make a model certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST_ROWS", "cool", "fit_label_temperature", "fit_temperature"]

FEWEST_ROWS = 50
"""With fewer validation rows a temperature would follow single ones."""
_MOST = 20.0


def fit_temperature(logits: npt.NDArray[Any], label_ids: npt.NDArray[np.integer[Any]]) -> float:
    """By what logits, (rows, labels), are to be divided for the least log-loss; `label_ids` is (rows,)."""
    from scipy.special import log_softmax

    rows, labels = logits.shape
    rest = 1 / (rows + 2)
    targets = np.full(logits.shape, rest / (labels - 1))
    targets[np.arange(rows), label_ids] = 1 - rest

    def loss(temperature: float) -> float:
        return -float((targets * log_softmax(logits / temperature, axis=1)).sum() / rows)

    return _best(loss)


def fit_label_temperature(logits: npt.NDArray[Any], truth: npt.NDArray[np.bool_]) -> float:
    """As `fit_temperature`, where a text may have several labels: logits and truth are (rows, labels).

    One temperature for all labels: one of each label would follow single rows where labels are rare. It
    leaves a logit of 0 at one half, and the order of each label's probabilities.
    """
    from scipy.special import log_expit

    having = int(truth.sum())
    targets = np.where(truth, (having + 1) / (having + 2), 1 / (truth.size - having + 2))

    def loss(temperature: float) -> float:
        divided = logits / temperature
        losses = targets * log_expit(divided) + (1 - targets) * log_expit(-divided)
        return -float(losses.mean())

    return _best(loss)


def _best(loss: Callable[[float], float]) -> float:
    """The temperature of least loss; 1, which changes nothing, where none is better."""
    from scipy.optimize import minimize_scalar

    bounds = (-math.log(_MOST), math.log(_MOST))
    found = minimize_scalar(lambda power: loss(math.exp(power)), bounds=bounds, method="bounded")
    return math.exp(found.x) if found.fun < loss(1.0) else 1.0


def cool(head: Any, temperature: float) -> None:
    """Divide what a linear head says by `temperature`: all who open the model get calibrated answers."""
    import torch

    with torch.no_grad():
        for values in head.parameters():
            values.div_(temperature)
