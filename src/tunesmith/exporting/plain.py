"""A bundle -> a directory that transformers alone can use, and its answers as transformers computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bundle import Bundle
from tunesmith.files import write_text
from tunesmith.model.base import quiet_transformers
from tunesmith.model.encode import Encoded, micro_batches, pad
from tunesmith.model.forward import Floats
from tunesmith.predict import Predictor

__all__ = ["write_plain"]


def write_plain(directory: Path, bundle: Bundle, source: Predictor) -> Predictor:
    """Write weights, tokenizer and card, and return what answers by transformers' own padded forward."""
    from transformers import AutoModelForSequenceClassification

    with quiet_transformers():
        source.classifier.model.save_pretrained(directory)
        source.classifier.tokenizer.save_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(
            str(directory), local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    write_text(directory / "README.md", (bundle.path / "README.md").read_text("utf-8"))
    return source.computed_by(_PaddedEngine(model.eval(), source))


class _PaddedEngine:
    """transformers' forward, texts side by side."""

    name = "transformers"

    def __init__(self, model: Any, source: Predictor) -> None:
        self.parameters, self.size_bytes = source.parameters, source.size_bytes
        self._model = model
        self._pad_token_id = source.classifier.tokenizer.pad_token_id

    def logits(self, encoded: Encoded, micro_batch_tokens: int) -> Floats:
        """(texts, labels) what the head says of each text, in the order given."""
        import torch

        answers = np.zeros((len(encoded), self._model.config.num_labels))
        with torch.inference_mode():
            for group in micro_batches(encoded.lengths, micro_batch_tokens):
                ids, mask = pad([encoded[row] for row in group], self._pad_token_id)
                answers[group] = self._model(input_ids=ids, attention_mask=mask).logits.numpy()
        return answers
