"""Adapters kept apart from their base: each answers as its run, and all hold the base's weights once."""

from __future__ import annotations

import csv
import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tunesmith as ts
from tests.adapters import LABELS, NEEDS_PEFT, write_lora_run
from tests.models import POLITICS, SPORTS, save_tiny_base
from tests.unit.model.test_shared import held_bytes
from tunesmith.bundle import open_bundle
from tunesmith.errors import BundleError, ConfigError
from tunesmith.model.bases import Bases
from tunesmith.model.load import load_classifier
from tunesmith.opening import open_predictor
from tunesmith.predict import Predictor
from tunesmith.score.file import score_file

pytestmark = NEEDS_PEFT
TEXTS = [*SPORTS, *POLITICS, "goal", "the match " * 60, ""]


def adapter_of(run: Path) -> Path:
    return run / "exports" / "adapter"


def answers(model: Predictor) -> np.ndarray:
    return np.array([list(each.scores.values()) for each in model.predict(TEXTS)])


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("adapters") / "base"))


@pytest.fixture(scope="module")
def runs(base: Path, news: Path) -> list[Path]:
    return [write_lora_run(base.parent / name, base, seed, news) for seed, name in enumerate("ab")]


@pytest.fixture
def moved(base: Path) -> Iterator[Path]:
    """Where the base is while it is not where the recipes name it."""
    away = base.rename(base.with_name("away"))
    yield away
    if not base.exists():
        away.rename(base)


def code_of(error: pytest.ExceptionInfo[BundleError]) -> list[str]:
    return [problem.code for problem in error.value.problems]


# the last one is padded, as its blocks are not known
@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neo", "gpt_neox", "llama", "gptj"])
def test_an_adapter_answers_as_its_run(architecture: str, news: Path, tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base", architecture)
    run = write_lora_run(tmp_path / "run", base, 1, news)
    merged, apart = ts.load(run), ts.load(adapter_of(run))
    np.testing.assert_allclose(answers(apart), answers(merged), atol=1e-5)
    assert [each.target for each in apart.predict(TEXTS)] == [each.target for each in merged.predict(TEXTS)]
    assert {each.target for each in apart.predict(TEXTS)} == set(LABELS), "there is something to tell apart"
    untuned = answers(Predictor(load_classifier(str(base), LABELS), 48))
    assert np.abs(untuned - answers(apart)).max() > 0.01, "the adapter matters"


def test_two_adapters_hold_their_base_once(runs: list[Path]) -> None:
    bases = Bases()
    opened = [open_bundle(adapter_of(run)).predictor(bases) for run in runs]
    models = [each.classifier.model for each in opened]
    own = sum(weight.nbytes for name, weight in models[1].named_parameters() if _is_own(name))
    assert held_bytes(models) == held_bytes(models[:1]) + own
    assert own < held_bytes(models[:1]) / 4
    for run, apart in zip(runs, opened, strict=True):
        np.testing.assert_allclose(answers(apart), answers(ts.load(run)), atol=1e-5)


def _is_own(name: str) -> bool:
    return name.startswith("score") or name.endswith((".down", ".up"))


def test_a_base_in_memory_is_not_read_again_and_goes_with_its_last_adapter(
    runs: list[Path], base: Path
) -> None:
    bases = Bases()
    first = open_bundle(adapter_of(runs[0])).predictor(bases)
    away = base.rename(base.with_name("away"))
    try:
        second = open_bundle(adapter_of(runs[1])).predictor(bases)
        weight = weakref.ref(first.classifier.model.base_model.wte.weight)
        del first
        gc.collect()
        third = open_bundle(adapter_of(runs[0])).predictor(bases)
        assert weight() is not None
        del second, third
        gc.collect()
        assert weight() is None
        with pytest.raises(BundleError, match="base") as raised:
            open_bundle(adapter_of(runs[0])).predictor(bases)
    finally:
        away.rename(base)
    assert code_of(raised) == ["base-missing"]
    assert str(base) not in raised.value.problems[0].what, "it is told over HTTP as well"
    assert str(base) in raised.value.problems[0].where


def test_another_base_in_its_place_is_refused(runs: list[Path], base: Path, moved: Path) -> None:
    assert moved.is_dir()
    save_tiny_base(base, seed=1)
    with pytest.raises(BundleError, match="its weights are others") as raised:
        ts.load(adapter_of(runs[0]))
    assert code_of(raised) == ["another-base"]
    shutil.rmtree(base)


def test_it_is_a_bundle_of_a_format_of_its_own(runs: list[Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(adapter_of(runs[0]), tmp_path / "adapter"))
    manifest = json.loads((place / "manifest.json").read_text())
    assert (manifest["format"], manifest["engine"]) == (3, "adapter")
    assert {path.name for path in place.glob("*.safetensors")} == {"adapter_model.safetensors"}
    assert {*manifest["files"], "manifest.json"} == {path.name for path in place.iterdir()}
    assert (place / "adapter_model.safetensors").stat().st_size < 0.3 * (
        runs[0] / "model" / "model.safetensors"
    ).stat().st_size
    del manifest["base"]
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError) as raised:
        open_bundle(place)
    assert code_of(raised) == ["bundle-damaged"]


def test_nobody_gets_it_who_has_not_asked(runs: list[Path], base: Path, tmp_path: Path) -> None:
    assert open_predictor(runs[0]).bundle.engine == "torch"
    assert open_predictor(runs[0], "torch").bundle.engine == "torch"
    assert open_predictor(runs[0], "adapter").bundle.engine == "adapter"
    for engine in ("auto", "torch", "adapter"):
        assert open_predictor(adapter_of(runs[0]), engine).bundle.engine == "adapter"
    without = write_lora_run(tmp_path / "run", base, 1)
    with pytest.raises(ConfigError, match=r"tunesmith export .* --to adapter"):
        ts.load(without, engine="adapter")
    shutil.copytree(runs[0] / "exports", without / "exports")
    with pytest.raises(BundleError) as raised:
        ts.load(without, engine="adapter")
    assert code_of(raised) == ["stale-export"]


def test_tables_are_scored_with_it_and_words_explained(runs: list[Path], tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in TEXTS[:6])])
    score_file(adapter_of(runs[0]), table, out)
    labels = [row["predicted_label"] for row in csv.DictReader(out.read_text().splitlines())]
    assert labels == [each.target for each in ts.load(runs[0]).predict(TEXTS[:6])]
    merged, apart = (ts.load(place).explain(["goal"])[0] for place in (runs[0], adapter_of(runs[0])))
    assert [each.score for each in apart.tokens] == pytest.approx(
        [each.score for each in merged.tokens], abs=1e-3
    )
