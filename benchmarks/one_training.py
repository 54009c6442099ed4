"""One contestant, one round, in a process of its own: so that memory and allocator are its own as well.

python -m benchmarks.one_training \
    '{"contestant": …, "data": …, "model": …, "rows": …, "longest": 0, "seed": …}'

`longest` is how many tokens the longest text of the training file has; 0: to be found out, which takes long.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contestants import CONTESTANTS, Job, now
from tunesmith.data.dataset import Dataset
from tunesmith.data.read import read
from tunesmith.model.encode import encode
from tunesmith.model.load import load_classifier
from tunesmith.training.memory import peak_memory_bytes

__all__ = ["SHARED", "gemm_peak", "main", "rows_of"]

_STEPS_BETWEEN = 3
SHARED = Path(__file__).parents[2] / "shared" / "data"


def rows_of(data: str, part: str, rows: int, seed: int = 0) -> Dataset:
    """`rows` rows of a data set, drawn with `seed`."""
    whole = read(SHARED / data / f"{part}.parquet")
    chosen = np.random.default_rng(seed).permutation(len(whole))[:rows]
    return whole.take(sorted(int(row) for row in chosen))


def gemm_peak(width: int, precision: torch.dtype) -> float:
    """The most floating-point operations a second of a matrix product of the sizes at hand."""
    device, best = ("cuda", 0.0) if torch.cuda.is_available() else ("cpu", 0.0)
    large = (8192,) * 3 if device == "cuda" else (2048,) * 3
    for rows, inner, outer in ((1024, width, 4 * width), (1024, 4 * width, width), large):
        first = torch.randn(rows, inner, device=device).to(precision)
        second = torch.randn(inner, outer, device=device).to(precision)
        torch.mm(first, second)
        for _ in range(3):
            began = now()
            for _ in range(5):
                torch.mm(first, second)
            best = max(best, 10 * rows * inner * outer / (now() - began))
    return best


class _Peaks:
    """The fastest product of this process before, between and after its steps: a shared machine's moves."""

    def __init__(self, width: int, precision: torch.dtype) -> None:
        self._of, self._steps = (width, precision), 0
        self.found = [gemm_peak(*self._of)]

    def between(self) -> float:
        """Measure after some steps; returns the seconds that it took."""
        self._steps += 1
        if self._steps % _STEPS_BETWEEN:
            return 0.0
        began = now()
        self.found.append(gemm_peak(*self._of))
        return now() - began


def _operations(model: Any, lengths: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """6 for each parameter but embeddings and each token, and causal attention; padding does not count."""
    embeddings = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    parameters = sum(p.numel() for p in model.parameters() if id(p) not in embeddings)
    config = model.config
    attention = 6 * float((lengths**2).sum()) * config.hidden_size * config.num_hidden_layers
    return float(6 * parameters * lengths.sum() + attention)


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Train once to warm up and once to be timed."""
    data = rows_of(asked["data"], "train", asked["rows"])
    classifier = load_classifier(asked["model"], data.task.labels)
    encoded = encode(classifier.tokenizer, data.texts, 512)
    labels = np.asarray(data.label_ids, np.int64)
    longest = asked["longest"] or _longest(classifier.tokenizer, asked["data"])
    job = Job(encoded, labels, len(data.task.labels), 1, 5e-5, asked["seed"], longest)
    few = 32
    warm = replace(job, encoded=encode(classifier.tokenizer, data.texts[:few], 512), label_ids=labels[:few])
    train = CONTESTANTS[asked["contestant"]]
    own = _as_transformers_makes_it(classifier.model)
    train(own, warm)
    half = torch.bfloat16 if asked["contestant"].endswith("bf16") else torch.float32
    peaks = _Peaks(own.config.hidden_size, half)
    seconds = train(own, replace(job, between=peaks.between))
    peaks.found.append(gemm_peak(own.config.hidden_size, half))
    return {
        "examples_per_second": len(encoded) / seconds,
        "seconds": seconds,
        "operations_per_second": _operations(own, encoded.lengths) / seconds,
        "gemm_peak": statistics.fmean(peaks.found),
        "gemm_peak_best": max(peaks.found),
        "peak_memory_mib": peak_memory_bytes() / 2**20,
        "mean_tokens": float(encoded.lengths.mean()),
        "longest_tokens": longest,
    }


def _longest(tokenizer: Any, data: str) -> int:
    """Tokens of the longest text of the whole training file."""
    return int(encode(tokenizer, rows_of(data, "train", 10**6).texts, 512).lengths.max())


def _as_transformers_makes_it(model: Any) -> Any:
    own = type(model)(model.config)
    own.load_state_dict(model.state_dict())
    return own


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
