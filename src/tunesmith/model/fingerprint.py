"""What a base is made of, as hashes: a name or path may come to mean another model."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tunesmith.files import sha256_bytes
from tunesmith.model.learner import Learner
from tunesmith.model.load import HEADS

if TYPE_CHECKING:
    import torch

__all__ = ["bytes_of", "fingerprint", "tokenizer_fingerprint"]


def fingerprint(learner: Learner) -> dict[str, str]:
    """SHA-256 of the weights as loaded, but for the head, and of how the tokenizer cuts."""
    return {"weights": _of_weights(learner), "tokenizer": tokenizer_fingerprint(learner.tokenizer)}


def _of_weights(learner: Learner) -> str:
    digest = hashlib.sha256()
    for name, value in learner.model.named_parameters():
        # the head is new: the seed and the labels decide it
        if not name.startswith(HEADS):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(bytes_of(value))
    return digest.hexdigest()


def bytes_of(weight: torch.Tensor) -> memoryview:
    """The numbers of a weight as they stand in memory."""
    import torch

    return weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of how a tokenizer cuts and pads."""
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    # these two only say how it was last called
    kept = {key: value for key, value in described.items() if key not in ("truncation", "padding")}
    return sha256_bytes(json.dumps([kept, tokenizer.pad_token_id], sort_keys=True).encode())
