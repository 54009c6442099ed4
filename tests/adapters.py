"""Runs of LoRA on one base without the training: what was learned is drawn from a seed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import tunesmith as ts
from tunesmith.bundle import write_bundle
from tunesmith.files import write_json
from tunesmith.model.layers import is_transposed, linear_layers
from tunesmith.model.load import load_classifier
from tunesmith.recipe import Recipe
from tunesmith.task import Task

# to import it takes seconds, which not everyone who collects tests needs
NEEDS_PEFT = pytest.mark.skipif(find_spec("peft") is None, reason="the extra `lora` is not installed")
LABELS = ("politics", "sports")
RANK = 2


def write_lora_run(place: Path, base: Path, seed: int, data: Path | None = None) -> Path:
    """A run whose model is `base` with what an adapter adds; with `data`, its adapter is exported, too."""
    classifier = load_classifier(str(base), LABELS, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name in linear_layers(classifier.model):
            layer = classifier.model.get_submodule(name)
            outputs, inputs = layer.weight.T.shape if is_transposed(layer) else layer.weight.shape
            added = torch.randn(outputs, RANK) @ torch.randn(RANK, inputs) / 4
            layer.weight += added.T if is_transposed(layer) else added
        # an untrained head hardly tells texts apart
        classifier.model.score.weight *= 50
    scores = {"macro_f1": 0.9, "accuracy": 0.9}
    write_bundle(
        place / "model",
        classifier,
        task=Task(labels=LABELS),
        recipe=Recipe(base=str(base), method="lora", lora_rank=RANK, max_tokens=48),
        report={
            "rows": 6,
            "metrics": scores,
            "intervals": {name: {"low": 0.8, "high": 1} for name in scores},
        },
        data_report={},
        card="",
    )
    write_json(place / "run.json", {})
    if data is not None:
        ts.export(place, "adapter", data=data)
    return place
