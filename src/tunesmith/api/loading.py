"""A path -> a model that could be served."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.api.about import about_bundle
from tunesmith.api.exchange import log_event
from tunesmith.api.root import weights_bytes
from tunesmith.api.served import Loaded
from tunesmith.bundle import ADAPTER, is_bundle, needed_base
from tunesmith.model.bases import Bases
from tunesmith.model.shared import SharedWeights
from tunesmith.opening import EngineName
from tunesmith.predict import TORCH
from tunesmith.run import EXPORTS

__all__ = ["Loader"]


class Loader:
    """Opens the models of one server: a label that is less likely than `min_confidence` is not given.

    `engine` is as `open_predictor` has it. Weights that several have in common are held once, as those of a
    base under several heads are, and under several adapters, for which it is also read once.
    """

    def __init__(
        self, min_confidence: float = 0.0, engine: EngineName = "auto", *, several: bool = True
    ) -> None:
        self._min_confidence = min_confidence
        self._engine = engine
        # of one model nothing can be shared, and its weights need not be hashed
        self._weights = SharedWeights() if several else None
        self._bases = Bases(self._share)

    def load(self, path: str | Path, name: str | None = None) -> Loaded:
        """The bundle or run at `path` under `name`, else under its own; raises UserError."""
        from tunesmith.opening import open_predictor

        opened = open_predictor(path, self._engine, bases=self._bases)
        predictor = opened.predictor.abstaining(self._min_confidence)
        engine = opened.bundle.engine
        # counted first: what is shared would be counted once
        about = about_bundle(opened.bundle) | {"parameters": predictor.parameters, "engine": engine}
        about |= {"why": opened.why}
        about |= {"model": name} if name else {}
        told = {"model": about["model"], "engine": engine, "why": opened.why}
        log_event(f"model {about['model']}, engine {opened.why}", "loaded", told)
        if predictor.engine == TORCH:
            self._share(predictor.classifier.model)
        explain = predictor.explain if predictor.engine == TORCH else None
        report = partial(opened.bundle.read, "report.json")
        return Loaded(predictor, about, opened.bundle.task, explain, report)

    def bytes_of(self, place: Path) -> int:
        """About what the run or bundle at `place` will take in memory; a base that is held takes nothing.

        Raises BundleError where what it says of itself cannot be read.
        """
        export = place / EXPORTS / ADAPTER
        apart = export if self._engine == ADAPTER and is_bundle(export) else place
        base = needed_base(apart) if is_bundle(apart) else None
        added = 0 if base is None or self._bases.holds(base.sha256) else base.size_bytes
        return weights_bytes(apart) + added

    def _share(self, model: Any) -> None:
        if self._weights is not None:
            self._weights.share(model)
