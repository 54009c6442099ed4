from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import LIES
from tests.models import POLITICS, SPORTS
from tunesmith.bundle import FORMAT, open_bundle, write_bundle
from tunesmith.errors import BaseError, BundleError, StorageError
from tunesmith.files import sha256_bytes
from tunesmith.model.load import load_classifier, quiet_transformers
from tunesmith.predict import Predictor
from tunesmith.recipe import Recipe
from tunesmith.task import Task

LABELS = ("politics, law", "🏆 sports", "x")
TEXTS = [*SPORTS, *POLITICS, "goal", "the match " * 60]


@pytest.fixture
def bundle(tiny_base: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model"
    write_bundle(
        path,
        load_classifier(str(tiny_base), LABELS, seed=3),
        task=Task(labels=LABELS),
        recipe=Recipe(max_tokens=64),
        report={"rows": 1},
        data_report={"ok": True},
        card="# card\n",
    )
    return path


def test_a_bundle_answers_as_the_model_it_was_made_of(bundle: Path, tiny_base: Path) -> None:
    opened = open_bundle(bundle)
    source = Predictor(load_classifier(str(tiny_base), LABELS, seed=3), 64)
    answers = [prediction.scores for prediction in opened.predictor().predict(TEXTS)]
    assert answers == [prediction.scores for prediction in source.predict(TEXTS)]
    assert opened.task.labels == LABELS
    assert opened.read("report.json") == {"rows": 1}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_transformers_opens_it_and_gives_the_same_answers(bundle: Path, batch_size: int) -> None:
    from transformers import pipeline

    with quiet_transformers():
        classify: Any = pipeline("text-classification", model=str(bundle), device="cpu")
        theirs = classify(TEXTS, top_k=None, truncation=True, batch_size=batch_size)
    ours = open_bundle(bundle).predictor().predict(TEXTS)
    for prediction, scores in zip(ours, theirs, strict=True):
        assert {row["label"] for row in scores} == set(LABELS)
        for row in scores:
            assert prediction.scores[row["label"]] == pytest.approx(row["score"], abs=1e-5)


def test_the_manifest_covers_every_file(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["format"] == 1, "earlier versions open it"
    assert {*manifest["files"], "manifest.json"} == {path.name for path in bundle.iterdir()}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "task.yaml", "tokenizer.json"])
def test_a_flipped_bit_is_refused_with_the_files_name(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"bundle-damaged.*\n.*{name}"):
        open_bundle(bundle)


def test_a_missing_file_and_a_later_version_are_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "recipe.yaml").unlink()
    with pytest.raises(BundleError, match=r"(?s)bundle-damaged.*recipe\.yaml"):
        open_bundle(bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"format": FORMAT + 1}))
    with pytest.raises(BundleError, match=r"(?s)bundle-version.*upgrade"):
        open_bundle(bundle)
    with pytest.raises(BundleError, match="no-bundle"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../beside", "/etc/passwd", "sub/file"])
def test_no_name_in_a_manifest_leads_out_of_the_directory(bundle: Path, name: str) -> None:
    """An export copies the files that are named there, to where it is made."""
    (bundle.parent / "beside").write_bytes(b"x")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = sha256_bytes(b"x")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"bundle-damaged.*manifest"):
        open_bundle(bundle)


@pytest.mark.parametrize("lie", LIES)
def test_weights_whose_header_lies_are_refused_although_the_manifest_has_their_hash(
    bundle: Path, lie: str
) -> None:
    (bundle / "model.safetensors").write_bytes(LIES[lie])
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["model.safetensors"] = sha256_bytes(LIES[lie])
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BaseError, match="bad-base"):
        open_bundle(bundle).predictor()


def test_an_existing_bundle_is_not_replaced_unasked(bundle: Path, tiny_base: Path) -> None:
    with pytest.raises(StorageError, match="exists"):
        write_bundle(
            bundle,
            load_classifier(str(tiny_base), LABELS),
            task=Task(labels=LABELS),
            recipe=Recipe(),
            report={},
            data_report={},
            card="",
        )
    open_bundle(bundle)


def test_a_bundle_of_the_first_format_always_opens() -> None:
    golden = Path(__file__).parents[1] / "golden"
    answers = json.loads((golden / "bundle-v1.json").read_text(encoding="utf-8"))
    predictions = open_bundle(golden / "bundle-v1").predictor().predict([row["text"] for row in answers])
    for prediction, row in zip(predictions, answers, strict=True):
        assert prediction.scores == pytest.approx(
            {label: row[label] for label in prediction.scores}, abs=1e-4
        )
