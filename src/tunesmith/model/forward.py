"""Encoded texts -> logits: packed where the architecture is known, else padded to the batch's longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded, Ids, micro_batches, pad
from tunesmith.model.packed import can_pack, packed_features, packed_logits, unwrapped
from tunesmith.processes import ALONE, Processes

if TYPE_CHECKING:
    import torch

__all__ = ["Floats", "batch_features", "batch_logits", "logits_of", "sigmoid", "softmax"]

Floats = npt.NDArray[np.float64]


def batch_logits(
    model: Any, rows: Sequence[Ids], pad_token_id: int, *, every_token: bool = False
) -> torch.Tensor:
    """Logits of one micro-batch, (texts, labels); gradients flow.

    With `every_token`, those at each token of each text: (tokens, labels).
    """
    if can_pack(model):
        return packed_logits(model, rows, every_token=every_token)
    ids, mask = pad(rows, pad_token_id)
    device = next(model.parameters()).device
    if every_token:
        ids, mask = ids.to(device), mask.to(device)
        states = unwrapped(model).base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        of_tokens: torch.Tensor = unwrapped(model).score(states[mask.bool()])
        return of_tokens
    logits: torch.Tensor = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
    return logits


def batch_features(model: Any, rows: Sequence[Ids], pad_token_id: int) -> torch.Tensor:
    """What the head `score` reads of each text of one micro-batch, (texts, width)."""
    import torch

    if can_pack(model):
        return packed_features(model, rows)
    ids, mask = pad(rows, pad_token_id)
    body = unwrapped(model).base_model
    states = body(input_ids=ids.to(body.device), attention_mask=mask.to(body.device)).last_hidden_state
    last = torch.tensor([len(row) - 1 for row in rows], device=states.device)
    features: torch.Tensor = states[torch.arange(len(rows), device=states.device), last]
    return features


def logits_of(
    model: Any,
    encoded: Encoded,
    labels: int,
    pad_token_id: int,
    micro_batch_tokens: int,
    processes: Processes = ALONE,
) -> Floats:
    """Logits of each text, (texts, labels), in the order given; the model is put in evaluation mode.

    Several processes compute a share each, and all get the same numbers that one alone would.
    """
    import torch

    model.eval()
    logits = torch.zeros((len(encoded), labels), dtype=torch.float64)
    with torch.inference_mode():
        groups = micro_batches(encoded.lengths, micro_batch_tokens, packed=can_pack(model))
        for group, counts in processes.turns(groups):
            answer = batch_logits(model, [encoded[row] for row in group], pad_token_id)
            if counts:
                logits[group] = answer.double().cpu()
    processes.add_up([logits])
    return np.asarray(logits)


def sigmoid(logits: Floats) -> Floats:
    """The probability of each label on its own."""
    # the exponent is never positive: nothing overflows
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1, small) / (1 + small), np.float64)


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)
