"""A path -> a model that could be served."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tunesmith.api.about import about_bundle
from tunesmith.api.exchange import log_event
from tunesmith.api.served import Loaded
from tunesmith.model.shared import SharedWeights
from tunesmith.opening import EngineName
from tunesmith.predict import TORCH

__all__ = ["Loader"]


class Loader:
    """Opens the models of one server: a label that is less likely than `min_confidence` is not given.

    `engine` is as `open_predictor` has it. Weights that several have in common are held once, as those of a
    base under several heads are.
    """

    def __init__(
        self, min_confidence: float = 0.0, engine: EngineName = "auto", *, several: bool = True
    ) -> None:
        self._min_confidence = min_confidence
        self._engine = engine
        # of one model nothing can be shared, and its weights need not be hashed
        self._weights = SharedWeights() if several else None

    def load(self, path: str | Path, name: str | None = None) -> Loaded:
        """The bundle or run at `path` under `name`, else under its own; raises UserError."""
        from tunesmith.opening import open_predictor

        opened = open_predictor(path, self._engine)
        predictor = opened.predictor.abstaining(self._min_confidence)
        # counted first: what is shared would be counted once
        about = about_bundle(opened.bundle) | {"parameters": predictor.parameters, "engine": predictor.engine}
        about |= {"why": opened.why}
        about |= {"model": name} if name else {}
        told = {"model": about["model"], "engine": predictor.engine, "why": opened.why}
        log_event(f"model {about['model']}, engine {opened.why}", "loaded", told)
        if self._weights is not None and predictor.engine == TORCH:
            self._weights.share(predictor.classifier.model)
        explain = predictor.explain if predictor.engine == TORCH else None
        report = partial(opened.bundle.read, "report.json")
        return Loaded(predictor, about, opened.bundle.task, explain, report)
