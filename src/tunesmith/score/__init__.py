"""A table of texts -> the same table with labels, or what was written; in pieces, so that it can go on."""

from __future__ import annotations

from tunesmith.score.answers import (
    COMPLETION,
    FINISH_REASON,
    LABEL,
    LABELS,
    PROBABILITIES,
    PROBABILITY,
    TRUNCATED,
)
from tunesmith.score.file import Scored, score_file
from tunesmith.score.pieces import pieces_beside
from tunesmith.score.progress import Scoring

__all__ = [
    "COMPLETION",
    "FINISH_REASON",
    "LABEL",
    "LABELS",
    "PROBABILITIES",
    "PROBABILITY",
    "TRUNCATED",
    "Scored",
    "Scoring",
    "pieces_beside",
    "score_file",
]
