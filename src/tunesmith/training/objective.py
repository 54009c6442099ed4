"""What a model is trained on: rows -> summed loss, so that the loop can divide by a step's whole weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded, Ids
from tunesmith.model.forward import batch_logits
from tunesmith.training.augmentation import Augmentation

if TYPE_CHECKING:
    import torch

    RowLogits = Callable[[Any, Sequence[int], bool], torch.Tensor]

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
_NONE = Augmentation()


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


def label_weights(
    label_ids: npt.ArrayLike, labels: int, example_weights: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """(labels,) weights by inverse frequency whose mean over the rows is 1; 0 for a label without rows.

    A row counts as often as its weight in `example_weights`, (rows,), says.
    """
    counts = np.bincount(np.asarray(label_ids), example_weights, minlength=labels)
    present = int((counts > 0).sum())
    weights = np.zeros(labels)
    np.divide(counts.sum(), present * counts, out=weights, where=counts > 0)
    return weights


class LabelObjective(ABC):
    """Texts whose labels are read off the logits of their last token, or of every token."""

    def __init__(self, encoded: Encoded, pad_token_id: int, augmentation: Augmentation) -> None:
        self.encoded = encoded
        self._pad_token_id = pad_token_id
        self._augmentation = augmentation
        self._logits: RowLogits | None = None

    def with_logits(self, logits: RowLogits) -> Self:
        """The same rows, whole, but their logits come from `logits`."""
        other = copy(self)
        other._logits = logits
        other._augmentation = replace(self._augmentation, token_dropout=0.0)
        return other

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of each row."""
        return self.encoded.lengths

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The loss of `rows`, summed."""
        augmentation = self._augmentation if model.training else _NONE
        texts = [augmentation.of_text(self.encoded[row]) for row in rows]
        if not augmentation.target_replication:
            return self.loss_of(self._of(model, rows, texts, every_token=False), rows)
        lengths = np.asarray([len(text) for text in texts])
        losses = self._losses(self._of(model, rows, texts, every_token=True), np.repeat(rows, lengths))
        return (losses * augmentation.shares_of_tokens(lengths).to(losses)).sum()

    def _of(
        self, model: Any, rows: Sequence[int], texts: Sequence[Ids], *, every_token: bool
    ) -> torch.Tensor:
        if self._logits is not None:
            return self._logits(model, rows, every_token)
        return batch_logits(model, texts, self._pad_token_id, every_token=every_token)

    def loss_of(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The loss of `rows`, summed, where these are their logits: (rows, labels)."""
        return self._losses(logits, np.asarray(rows)).sum()

    @abstractmethod
    def weight(self, rows: Sequence[int]) -> float:
        """What the summed loss of `rows` is divided by."""

    @abstractmethod
    def _losses(self, logits: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """(rows,) the loss of each, where these are their logits: (rows, labels); a row may stand often."""


class Classification(LabelObjective):
    """Texts with one label each: weighted cross-entropy at the last token.

    A row counts by the weight of its label and by its own of `example_weights`, (rows,), where there are any.
    What a step is divided by knows only the first: a step of rows that count for little moves the model
    little. Over all rows together, a weight of two is the same as the row twice.
    """

    def __init__(
        self,
        encoded: Encoded,
        label_ids: npt.ArrayLike,
        pad_token_id: int,
        weights: npt.NDArray[np.float64],
        augmentation: Augmentation = _NONE,
        example_weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(encoded, pad_token_id, augmentation)
        self._label_ids = np.asarray(label_ids, np.int32)  # (rows,)
        self._weights = weights  # (labels,)
        self._example_weights: npt.NDArray[np.float64] | None = None
        if example_weights is not None:
            # their mean is 1, so that a learning rate means what it means without them
            of_labels = weights[self._label_ids]
            self._example_weights = example_weights * (of_labels.sum() / (of_labels @ example_weights))

    def weight(self, rows: Sequence[int]) -> float:
        """The summed class weight of `rows`."""
        return float(self._weights[self._label_ids[np.asarray(rows)]].sum())

    def _losses(self, logits: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """The weighted cross-entropy of each row."""
        import torch
        from torch.nn.functional import cross_entropy

        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        label_ids = self._label_ids[rows].astype(np.int64)
        target = torch.from_numpy(label_ids).to(logits.device)  # (rows,)
        weights = self._weights[label_ids]
        weights = weights if self._example_weights is None else weights * self._example_weights[rows]
        weight = torch.from_numpy(weights).to(logits.device, logits.dtype)
        return cross_entropy(logits, target, reduction="none") * weight


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
        self,
        encoded: Encoded,
        targets: Bools,
        pad_token_id: int,
        weights: npt.NDArray[np.float64],
        augmentation: Augmentation = _NONE,
    ) -> None:
        super().__init__(encoded, pad_token_id, augmentation)
        self._targets = targets  # (rows, labels)
        self._positive_weights = weights  # (labels,)

    def weight(self, rows: Sequence[int]) -> float:
        """How many `rows` there are: a label's gradient does not shrink where there are more labels."""
        return float(len(rows))

    def _losses(self, logits: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """The binary cross-entropy of each row, summed over its labels."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (rows, labels)
        target = torch.from_numpy(self._targets[rows]).to(logits)
        weight = torch.from_numpy(self._positive_weights).to(logits)
        losses = binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none")
        return losses.sum(-1)
