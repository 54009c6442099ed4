"""The temperature that makes a model as sure as it is right, fitted on validation rows.

Source: Guo et al., On Calibration of Modern Neural Networks, 2017; the targets are those of Platt, 1999, so
that few rows that are all right do not make a model certain.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST_ROWS", "cool", "fit_temperature"]

FEWEST_ROWS = 50
"""With fewer validation rows a temperature would follow single ones."""
_MOST = 20.0


def fit_temperature(logits: npt.NDArray[Any], label_ids: npt.NDArray[np.integer[Any]]) -> float:
    """By what logits, (rows, labels), are to be divided for the least log-loss; `label_ids` is (rows,)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows, labels = logits.shape
    rest = 1 / (rows + 2)
    targets = np.full(logits.shape, rest / (labels - 1))
    targets[np.arange(rows), label_ids] = 1 - rest

    def loss(log_temperature: float) -> float:
        return -float((targets * log_softmax(logits / math.exp(log_temperature), axis=1)).sum() / rows)

    found = minimize_scalar(loss, bounds=(-math.log(_MOST), math.log(_MOST)), method="bounded")
    return math.exp(found.x)


def cool(head: Any, temperature: float) -> None:
    """Divide what a linear head says by `temperature`: all who open the model get calibrated answers."""
    import torch

    with torch.no_grad():
        for values in head.parameters():
            values.div_(temperature)
