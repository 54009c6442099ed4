"""Where the head of a multi-label model starts: at the share of texts that have each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunesmith.model.encode import Encoded
from tunesmith.model.forward import batch_logits
from tunesmith.model.load import Classifier
from tunesmith.model.thresholds import Bools

if TYPE_CHECKING:
    import torch

__all__ = ["start_at_shares"]

_SAMPLE_TEXTS = 128


def start_at_shares(classifier: Classifier, encoded: Encoded, targets: Bools) -> None:
    """Move the head so that a text of average features gets each label's share as its probability.

    Most labels of most texts are absent. A head without a bias has to learn that through the base, whose
    answers then become the same for every text before they can become different. `targets`: (rows, labels).
    """
    import torch

    features = _mean_features(classifier, encoded)  # (width,)
    shares = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    head = classifier.model.score.weight  # (labels, width)
    with torch.no_grad():
        wanted = torch.from_numpy(np.log(shares / (1 - shares))).to(head)
        head += torch.outer(wanted - head @ features, features) / (features @ features)


def _mean_features(classifier: Classifier, encoded: Encoded) -> torch.Tensor:
    """What the head reads, on average over texts from all of the data."""
    import torch

    rows = np.unique(np.linspace(0, len(encoded) - 1, _SAMPLE_TEXTS, dtype=np.int64))
    model, pad_token_id = classifier.model.eval(), classifier.tokenizer.pad_token_id
    heard: list[torch.Tensor] = []
    listening = model.score.register_forward_pre_hook(lambda _head, given: heard.append(given[0]))
    try:
        with torch.no_grad():
            for row in rows:
                batch_logits(model, [encoded[int(row)]], pad_token_id)
    finally:
        listening.remove()
    # one text at a time: its last token stands last, whether or not the head reads the others too
    return torch.stack([states.reshape(-1, states.shape[-1])[-1] for states in heard]).mean(dim=0)
