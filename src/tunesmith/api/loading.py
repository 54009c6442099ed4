"""A path -> a model that could be served."""

from __future__ import annotations

from pathlib import Path

from tunesmith.api.about import about_bundle
from tunesmith.api.served import Loaded
from tunesmith.model.shared import SharedWeights

__all__ = ["Loader"]


class Loader:
    """Opens the models of one server: a label that is less likely than `min_confidence` is not given.

    Weights that several have in common are held once, as those of a base under several heads are.
    """

    def __init__(self, min_confidence: float = 0.0) -> None:
        self._min_confidence = min_confidence
        self._weights = SharedWeights()

    def load(self, path: str | Path, name: str | None = None) -> Loaded:
        """The bundle or run at `path` under `name`, else under its own; raises UserError."""
        from tunesmith.pipeline import find_bundle

        bundle = find_bundle(path)
        predictor = bundle.predictor().abstaining(self._min_confidence)
        # counted first: what is shared would be counted once
        about = about_bundle(bundle) | {"parameters": predictor.classifier.parameters}
        self._weights.share(predictor.classifier.model)
        return Loaded(predictor, about | ({"model": name} if name else {}), bundle.task)
