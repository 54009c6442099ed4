"""The weights after an epoch become a model as the run's own is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS
from tunesmith.epochs import kept_epochs, model_of_epoch, models_of_epochs
from tunesmith.errors import ConfigError, ResumeError, StorageError
from tunesmith.files import sha256_file


def _news(path: Path) -> Path:
    texts = (POLITICS, SPORTS)
    rows = [
        {"text": f"{texts[n % 2][n // 2 % 3]} {n}", "label": ("politics", "sports")[n % 2]} for n in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class _Ear(Heard):
    def __init__(self) -> None:
        super().__init__()
        self.saved: list[tuple[str, int]] = []

    def checkpoint_saved(self, step: int, directory: Path) -> None:
        assert (directory / "manifest.json").is_file()
        self.saved.append(("step", step))

    def best_saved(self, step: int, directory: Path) -> None:
        assert (directory / "manifest.json").is_file()
        self.saved.append(("best", step))


@pytest.mark.parametrize("method", ["full", "lora", "frozen"])
def test_the_last_epoch_is_the_model_of_the_run(method: str, tiny_base: Path, tmp_path: Path) -> None:
    recipe = ts.Recipe.model_validate(
        {
            "base": str(tiny_base),
            "method": method,
            "epochs": 3,
            "keep": "last",
            "validation_fraction": 0.2,
            "evaluations_per_epoch": 2,
            "batch_tokens": 60,
            "learning_rate": 0.01,
        }
    )
    ear, data, out = _Ear(), _news(tmp_path / "news.jsonl"), tmp_path / "run"
    run = ts.train(data, recipe=recipe, out=out, keep_epochs=2, listener=ear)
    assert kept_epochs(out) == [2, 3]
    assert ("step", ear.progress[-1].step) in ear.saved
    assert not any(kind == "best" for kind, _ in ear.saved)
    measured = [point["epoch"] for point in run.report.curves if "macro_f1" in point]
    assert [measured.count(epoch) for epoch in (1, 2, 3)] == [measured.count(1)] * 3
    assert measured.count(1) >= 2
    report = model_of_epoch(out, 3, tmp_path / "last")
    weights = [sha256_file(each / "model.safetensors") for each in (run.model_path, tmp_path / "last")]
    assert weights[0] == weights[1]
    assert report.metrics == run.report.metrics
    both = _both(out, tmp_path / "both")
    assert both[3] == weights[0], "a model that was made before it changes none"
    earlier = model_of_epoch(out, 2, tmp_path / "earlier")
    assert both[2] == sha256_file(tmp_path / "earlier" / "model.safetensors")
    assert len(earlier.curves) < len(report.curves)
    assert sha256_file(tmp_path / "earlier" / "model.safetensors") != weights[0]
    assert ts.load(tmp_path / "earlier").predict([SPORTS[0]])[0].target in run.task.labels
    if method == "full":
        _refused(out, data, tmp_path)


def _both(out: Path, place: Path) -> dict[int, str]:
    """The hash of the weights of two epochs that are made of a run together."""
    ear, places = Heard(), {epoch: place / str(epoch) for epoch in (2, 3)}
    place.mkdir()
    made = dict(models_of_epochs(out, places, judge=False, listener=ear))
    assert [made[epoch].rows for epoch in places] == [0, 0]
    assert (ear.stages.count("read"), ear.stages.count("write")) == (1, 2)
    return {epoch: sha256_file(bundle / "model.safetensors") for epoch, bundle in places.items()}


def _refused(out: Path, data: Path, place: Path) -> None:
    with pytest.raises(ConfigError):
        ts.train(data, out=place / "none", keep_epochs=-1)
    with pytest.raises(StorageError, match=r"exists|holds"):
        model_of_epoch(out, 3, place / "last")
    with pytest.raises(StorageError):
        model_of_epoch(out, 1, place / "first")
    data.write_text(data.read_text(encoding="utf-8") + data.read_text(encoding="utf-8").replace(" 1", " 9"))
    with pytest.raises(ResumeError):
        model_of_epoch(out, 3, place / "other")
    assert not (place / "other").exists()
