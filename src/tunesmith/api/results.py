"""Predictions -> what travels."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.api.request import DEFAULT_TOP_K
from tunesmith.api.schemas import ClassifyResponse, LabelScore, Result, Usage
from tunesmith.predict import Prediction

__all__ = ["response_of", "result_of"]


def response_of(
    model: str, predictions: Sequence[Prediction], top_k: int | None, most: int
) -> ClassifyResponse:
    """The answer to one request; without `top_k`, `most` is the cap."""
    return ClassifyResponse(
        model=model,
        results=[result_of(prediction, top_k, most) for prediction in predictions],
        usage=Usage(texts=len(predictions), tokens=sum(prediction.tokens for prediction in predictions)),
    )


def result_of(prediction: Prediction, top_k: int | None, most: int) -> Result:
    """The answer to one text."""
    likeliest = next(iter(prediction.labels), None)
    shown = prediction.top(top_k or _fitting(prediction, most))
    return Result(
        label=likeliest,
        score=None if likeliest is None else prediction.scores[likeliest],
        labels=list(prediction.labels),
        truncated=prediction.truncated,
        scores=[LabelScore(label=label, score=score) for label, score in shown],
    )


def _fitting(prediction: Prediction, most: int) -> int:
    """So many scores that those of all labels given are among them, within the cap."""
    return min(most, max(DEFAULT_TOP_K, len(prediction.labels)))
