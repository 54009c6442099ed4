"""A run -> what answers for it, on the engine that was asked for or that is the quickest here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tunesmith.bundle import ADAPTER, Bundle, is_bundle, open_bundle
from tunesmith.errors import BundleError, ConfigError, Problem
from tunesmith.model.bases import Bases
from tunesmith.model.encode import Chunk, Encoded, in_memory
from tunesmith.pipeline import find_bundle
from tunesmith.predict import TORCH, Predictor
from tunesmith.run import EXPORTS

__all__ = ["EngineName", "Opened", "choose_bundle", "load", "open_predictor"]

EngineName = Literal["auto", "torch", "onnx", "onnx-int8", "adapter"]
# 8 bits answer a little otherwise: nobody gets them who has not asked for them
_EXACT: tuple[EngineName, ...] = ("onnx",)
_ROUNDS = 7
_USUAL_TOKENS = 64
_ANY_TOKEN = 1


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that answers, what it was opened from, and why on this engine."""

    predictor: Predictor
    bundle: Bundle
    why: str
    """One sentence"""


def load(path: str | Path, *, engine: EngineName = "auto") -> Predictor:
    """Open a run, or a bundle, that gives labels, verify it and load its model; see `open_predictor`."""
    return open_predictor(path, engine).predictor


def choose_bundle(path: str | Path, engine: EngineName) -> Bundle:
    """The bundle that `open_predictor` opens; of a model that writes, the only one there is."""
    bundle = find_bundle(path)
    found = [bundle] if bundle.task.writes else _candidates(Path(path), bundle, engine)
    return found[0] if len(found) == 1 else _quickest(found).bundle


def open_predictor(
    path: str | Path,
    engine: EngineName = "auto",
    *,
    bundle: Bundle | None = None,
    bases: Bases | None = None,
) -> Opened:
    """Open a run, or a bundle, that gives labels, on an engine.

    `auto` takes the quickest of torch and the run's export to ONNX, by a measurement here; both answer
    alike. `adapter` computes with torch too, a little slower: it takes the run's base and what was learned
    apart, so that several models opened with the same `bases` hold their base once. An adapter that `path`
    itself names is what it is on any of `auto`, `torch` and `adapter`.
    `bundle` is that at `path`, where it was opened already: its files are not hashed again. Raises
    BundleError and ConfigError as opening a bundle does, or where there is no such export.
    """
    found = _candidates(Path(path), bundle or find_bundle(path), engine)
    if len(found) > 1:
        return _quickest(found)
    (only,) = found
    why = "the only one there is" if engine == "auto" else "as asked"
    return Opened(only.predictor(bases), only, f"{only.engine}, {why}")


def _candidates(run: Path, bundle: Bundle, engine: EngineName) -> list[Bundle]:
    """What may answer: with `auto` whatever answers alike, else what was asked for."""
    if engine == bundle.engine or (engine == TORCH and bundle.engine == ADAPTER):
        return [bundle]
    if engine != "auto":
        return [_export(run, bundle, engine)]
    exports = [run / EXPORTS / form for form in _EXACT if is_bundle(run / EXPORTS / form)]
    return [bundle, *(export for export in map(open_bundle, exports) if export.is_of(bundle))]


def _export(run: Path, bundle: Bundle, engine: EngineName) -> Bundle:
    place = run / EXPORTS / engine
    if not is_bundle(place):
        what = f"there is no {engine} beside the model"
        fix = f"make it: tunesmith export {run} --to {engine}"
        if engine == TORCH:
            fix = "name the run that this was exported from"
        raise ConfigError(Problem("no-export", what, str(bundle.path), fix))
    export = open_bundle(place)
    if not export.is_of(bundle):
        what = "the export is of another model than the one that the run holds now"
        fix = f"make it again: tunesmith export {run} --to {engine} --overwrite"
        raise BundleError(Problem("stale-export", what, str(place), fix))
    return export


def _quickest(candidates: list[Bundle]) -> Opened:
    opened = {bundle.engine: (bundle, bundle.predictor()) for bundle in candidates}
    text = _usual_text(candidates[0])
    seconds = _measured({name: predictor for name, (_, predictor) in opened.items()}, text)
    name = min(seconds, key=lambda engine: seconds[engine])
    others = ", ".join(
        f"{1000 * taken:.1f} with {other}" for other, taken in seconds.items() if other != name
    )
    bundle, predictor = opened[name]
    tokens = int(text.lengths[0])
    why = f"{name}: a text of {tokens} tokens takes {1000 * seconds[name]:.1f} ms here, and {others}"
    return Opened(predictor, bundle, why)


def _usual_text(bundle: Bundle) -> Encoded:
    """Token ids of a text as long as those that it was trained on are in the mean."""
    lengths = bundle.read("data_report.json").get("token_lengths") or {}
    tokens = max(1, round(lengths.get("mean", _USUAL_TOKENS)))
    ids = np.full(tokens, _ANY_TOKEN, np.int32)
    return in_memory([Chunk(ids, np.array([tokens], np.int32), np.zeros(1, np.int32))])


def _measured(predictors: Mapping[str, Predictor], text: Encoded) -> dict[str, float]:
    """The seconds that one text takes, the best of some turns: what else runs here only adds to it."""
    turns: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(_ROUNDS):
        for name, predictor in predictors.items():
            turns[name].append(_seconds(predictor, text))
    return {name: min(taken[1:]) for name, taken in turns.items()}  # the first one warms up


def _seconds(predictor: Predictor, text: Encoded) -> float:
    began = time.perf_counter()
    predictor.logits(text)
    return time.perf_counter() - began
