"""BLEU and chrF of a whole corpus, by sacrebleu, from statistics of each row.

The score of a resample is that of its summed statistics, not a mean over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from tunesmith.evaluation.types import Floats

__all__ = ["HOW_TO_GET", "CorpusScore", "corpus_scores"]

HOW_TO_GET = "BLEU and chrF need sacrebleu: pip install 'tunesmith[generation]'"


@dataclass(frozen=True, slots=True, eq=False)
class CorpusScore:
    """One score from 0 to 100: `statistics` are (rows, numbers); `signature` says how it is computed."""

    key: str
    statistics: Floats
    signature: str
    metric: Any

    def of(self, sums: Floats) -> float:
        """The score of summed statistics (numbers,)."""
        return float(self.metric._compute_score_from_stats(sums.astype(np.int64).tolist()).score)


def corpus_scores(
    references: Sequence[str], answers: Sequence[str], *, library: str = "sacrebleu.metrics"
) -> tuple[CorpusScore, ...]:
    """chrF and BLEU; none where `library` is not installed."""
    try:
        found = import_module(library)
    except ImportError:
        return ()
    # effective order: where no answer has four words, BLEU goes by shorter pieces instead of being 0
    metrics = {"chrf": found.CHRF(), "bleu": found.BLEU(force=True, effective_order=True)}
    return tuple(_scored(key, metric, references, answers) for key, metric in metrics.items())


def _scored(key: str, metric: Any, references: Sequence[str], answers: Sequence[str]) -> CorpusScore:
    # sacrebleu's own significance tests go by these two methods
    statistics = np.asarray(metric._extract_corpus_statistics(answers, [references]), np.float64)
    return CorpusScore(key, statistics, str(metric.get_signature()), metric)
