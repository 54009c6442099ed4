"""Encoded texts -> logits, in batches that never pad beyond their own longest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded, micro_batches, pad

__all__ = ["logits_of", "softmax"]

Floats = npt.NDArray[np.float64]


def logits_of(
    model: Any, encoded: Encoded, labels: int, pad_token_id: int, micro_batch_tokens: int
) -> Floats:
    """Logits of each text, (texts, labels), in the order given; the model is put in evaluation mode."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    logits = np.zeros((len(encoded), labels), np.float64)
    with torch.inference_mode():
        for group in micro_batches(encoded.lengths.tolist(), micro_batch_tokens):
            ids, mask = pad([encoded[row] for row in group], pad_token_id)
            answer = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
            logits[group] = answer.float().cpu().numpy()
    return logits


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)
