"""What a model is trained on: rows -> summed loss, so that the loop can divide by a step's whole weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded
from tunesmith.model.forward import batch_logits

if TYPE_CHECKING:
    import torch

    RowLogits = Callable[[Any, Sequence[int]], torch.Tensor]

__all__ = [
    "Classification",
    "LabelObjective",
    "MultiLabelClassification",
    "Objective",
    "TextObjective",
    "label_weights",
    "positive_weights",
]

Bools = npt.NDArray[np.bool_]
_MOST_POSITIVE_WEIGHT = 10.0


class Objective(Protocol):
    """A training set as the loop sees it: rows by number."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each row."""
        ...

    def weight(self, rows: Sequence[int]) -> float:
        """What the summed loss of `rows` is divided by."""
        ...

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The loss of one micro-batch, summed, a scalar."""
        ...


class TextObjective(Objective, Protocol):
    """An objective whose rows are encoded texts."""

    @property
    def encoded(self) -> Encoded:
        """The token ids of the rows."""
        ...


def label_weights(label_ids: npt.ArrayLike, labels: int) -> npt.NDArray[np.float64]:
    """(labels,) weights by inverse frequency whose mean over the rows is 1; 0 for a label without rows."""
    counts = np.bincount(np.asarray(label_ids), minlength=labels)
    present = int((counts > 0).sum())
    return np.divide(int(counts.sum()), present * counts, out=np.zeros(labels), where=counts > 0)


class LabelObjective(ABC):
    """Texts whose labels are read off the logits of their last token."""

    def __init__(self, encoded: Encoded, pad_token_id: int) -> None:
        self.encoded = encoded
        self._pad_token_id = pad_token_id
        self._logits: RowLogits = self._of_tokens

    def with_logits(self, logits: RowLogits) -> Self:
        """The same rows, but their logits come from `logits`."""
        other = copy(self)
        other._logits = logits
        return other

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each row."""
        return self.encoded.lengths

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The loss of `rows`, summed."""
        return self.loss_of(self._logits(model, rows), rows)

    @abstractmethod
    def weight(self, rows: Sequence[int]) -> float:
        """What the summed loss of `rows` is divided by."""

    @abstractmethod
    def loss_of(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The loss of `rows`, summed, where these are their logits: (rows, labels)."""

    def _of_tokens(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        return batch_logits(model, [self.encoded[row] for row in rows], self._pad_token_id)


class Classification(LabelObjective):
    """Texts with one label each: weighted cross-entropy at the last token."""

    def __init__(
        self,
        encoded: Encoded,
        label_ids: npt.ArrayLike,
        pad_token_id: int,
        weights: npt.NDArray[np.float64],
    ) -> None:
        super().__init__(encoded, pad_token_id)
        self._label_ids = np.asarray(label_ids, np.int32)  # (rows,)
        self._weights = weights  # (labels,)

    def weight(self, rows: Sequence[int]) -> float:
        """The summed class weight of `rows`."""
        return float(self._weights[self._label_ids[np.asarray(rows)]].sum())

    def loss_of(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The weighted cross-entropy of `rows`, summed, where these are their logits: (rows, labels)."""
        import torch
        from torch.nn.functional import cross_entropy

        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        label_ids = self._label_ids[np.asarray(rows)].astype(np.int64)
        target = torch.from_numpy(label_ids).to(logits.device)  # (rows,)
        weight = torch.from_numpy(self._weights[label_ids]).to(logits.device, logits.dtype)
        return (cross_entropy(logits, target, reduction="none") * weight).sum()


def positive_weights(targets: Bools) -> npt.NDArray[np.float64]:
    """(labels,) how much a row that has a label weighs beside one that has it not; targets: (rows, labels).

    The root of the inverse odds, from 1 to 10: whole inverse odds would give rare labels to every text.
    """
    rows = targets.sum(axis=0)
    odds = np.divide(len(targets) - rows, rows, out=np.ones(targets.shape[1]), where=rows > 0)
    weights: npt.NDArray[np.float64] = np.clip(np.sqrt(odds), 1.0, _MOST_POSITIVE_WEIGHT)
    return weights


class MultiLabelClassification(LabelObjective):
    """Texts with any number of labels each: binary cross-entropy of every label at the last token."""

    def __init__(
        self, encoded: Encoded, targets: Bools, pad_token_id: int, weights: npt.NDArray[np.float64]
    ) -> None:
        super().__init__(encoded, pad_token_id)
        self._targets = targets  # (rows, labels)
        self._positive_weights = weights  # (labels,)

    def weight(self, rows: Sequence[int]) -> float:
        """How many `rows` there are: a label's gradient does not shrink where there are more labels."""
        return float(len(rows))

    def loss_of(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The binary cross-entropy of `rows`, summed over rows and labels."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (rows, labels)
        target = torch.from_numpy(self._targets[np.asarray(rows)]).to(logits)
        weight = torch.from_numpy(self._positive_weights).to(logits)
        return binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="sum")
