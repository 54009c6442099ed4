"""The artifact: a plain Hugging Face model directory that also says what it is and how it came about.

Beside the model and tokenizer files stand `task.yaml`, `recipe.yaml` (what ran, resolved),
`data_report.json`, `report.json`, `README.md` (the model card), for a multi-label task `thresholds.json`,
and, written last, `manifest.json` with the format's version and the SHA-256 of every other file. One that
was exported has `model.onnx` or an adapter in place of weights, and `parity.json`; its manifest names the
engine, and the hash of the weights of the base that an adapter needs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith import __version__
from tunesmith.config import read_config, write_config
from tunesmith.errors import BundleError, ConfigError, Problem, StorageError
from tunesmith.files import read_json, sha256_bytes, sha256_file, staged_directory, write_json, write_text
from tunesmith.model.base import reader_at
from tunesmith.model.bases import AdaptedClassifier, Bases, open_adapted
from tunesmith.model.generator import load_generator
from tunesmith.model.learner import FP32_BYTES, Learner
from tunesmith.model.load import Classifier, load_classifier, quiet_transformers
from tunesmith.model.thresholds import Thresholds
from tunesmith.onnx.session import OnnxEngine
from tunesmith.predict import TORCH, Engine, Predictor
from tunesmith.recipe import Recipe
from tunesmith.task import Task
from tunesmith.writer import Writer, writer_for

__all__ = [
    "ADAPTER",
    "FORMAT",
    "GRAPH",
    "Bundle",
    "NeededBase",
    "complete_exported",
    "is_bundle",
    "needed_base",
    "open_bundle",
    "write_bundle",
]

FORMAT = 3
"""The latest: 1 is a model of transformers, 2 a graph of ONNX, 3 an adapter on a base that lies elsewhere"""
ADAPTER = "adapter"
"""The engine of a bundle whose base is held apart from what was learned; torch computes it"""
GRAPH = "model.onnx"
_WITH_BASE = 3
_MANIFEST = "manifest.json"
_THRESHOLDS = "thresholds.json"
_WEIGHTS = (".safetensors", ".safetensors.index.json")
_COPY_AGAIN = "copy the directory again from where it was made, or train again"


@dataclass(frozen=True, slots=True)
class NeededBase:
    """The weights beside its own that a bundle cannot answer without."""

    sha256: str
    """As `Bases` knows them"""
    size_bytes: int
    """What they take in memory, with the adapter"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened and verified bundle."""

    path: Path
    task: Task
    recipe: Recipe
    manifest: Mapping[str, Any]

    @property
    def engine(self) -> str:
        """What it is for: `torch`, `onnx`, `onnx-int8` or `adapter`."""
        return str(self.manifest.get("engine", TORCH))

    @property
    def identity(self) -> str:
        """A hash that another model does not have."""
        return sha256_bytes(json.dumps(dict(self.manifest), sort_keys=True).encode())

    def is_of(self, source: Bundle) -> bool:
        """Whether it was exported from `source` as that is now."""
        return self.manifest.get("source") == source.identity

    def predictor(self, bases: Bases | None = None) -> Predictor:
        """Load the model, which gives labels; texts are cut where they were cut in training.

        The base of an adapter is taken from `bases`, where it is held. Raises BundleError where the model is
        one that writes, or where that base cannot be had.
        """
        if self.task.writes:
            fix = "open it with `load_writer`, or ask it with `tunesmith predict`"
            raise self._another("the model writes text and gives no labels", fix)
        classifier, engine = self._classifier(bases or Bases())
        max_tokens = min(self.recipe.max_tokens or classifier.window, classifier.window)
        return Predictor(classifier, max_tokens, self.recipe.micro_batch_tokens, self._thresholds(), engine)

    def _classifier(self, bases: Bases) -> tuple[Classifier, Engine | None]:
        if base := _needed(self.manifest):
            return open_adapted(self.path, self.recipe, self.task, base.sha256, bases), None
        # absolute: `embedded` would name another model
        location, task = str(self.path.absolute()), self.task
        if self.engine == TORCH:
            return load_classifier(location, task.labels, kind=task.kind, new_head=False), None
        reader = reader_at(location)
        graph, parameters = self.path / GRAPH, int(self.manifest["parameters"])
        engine = OnnxEngine(
            graph, len(task.labels), reader.tokenizer.pad_token_id, name=self.engine, parameters=parameters
        )
        return Classifier(reader.tokenizer, reader.window, None, task.labels, task.kind), engine

    def answerer(self) -> Predictor | Writer:
        """Load the model, whatever it does."""
        return self.writer() if self.task.writes else self.predictor()

    def writer(self) -> Writer:
        """Load the model, which writes; raises BundleError where it is one that gives labels."""
        if not self.task.writes:
            fix = "open it with `load`, or ask it with `tunesmith predict`"
            raise self._another("the model gives labels and does not write", fix)
        return writer_for(load_generator(str(self.path.absolute())), self.recipe, self.task)

    def _another(self, what: str, fix: str) -> BundleError:
        return BundleError(Problem("another-kind", what, str(self.path), fix))

    def _thresholds(self) -> Thresholds | None:
        if self.task.kind == "single_label":
            return None
        path = self.path / _THRESHOLDS
        try:
            return Thresholds.from_dict(read_json(path), self.task.labels)
        except (ConfigError, StorageError, KeyError, TypeError, ValueError) as error:
            what, fix = "the thresholds of the labels cannot be read", _COPY_AGAIN
            raise BundleError(Problem("bundle-damaged", what, str(path), fix)) from error

    def read(self, name: str) -> Any:
        """One of the bundle's JSON files, such as `report.json`."""
        return read_json(self.path / name)


def write_bundle(
    path: Path,
    learner: Learner,
    *,
    task: Task,
    recipe: Recipe,
    report: Mapping[str, Any],
    data_report: Mapping[str, Any],
    card: str,
    thresholds: Thresholds | None = None,
    overwrite: bool = False,
) -> None:
    """Write a bundle whole or not at all; raise StorageError where `path` exists or the disk is full."""
    with staged_directory(path, overwrite=overwrite) as directory:
        _save_model(directory, learner, recipe)
        write_config(directory / "task.yaml", task)
        write_config(directory / "recipe.yaml", recipe)
        write_json(directory / "report.json", dict(report))
        write_json(directory / "data_report.json", dict(data_report))
        write_text(directory / "README.md", card)
        if task.kind == "multi_label":
            assert thresholds is not None, "a multi-label model answers by its thresholds"
            write_json(directory / _THRESHOLDS, thresholds.to_dict(task.labels))
        write_json(directory / _MANIFEST, _manifest(directory, 1))


def complete_exported(directory: Path, source: Bundle, engine: str, made: Predictor) -> None:
    """Make a bundle of a directory that holds a graph or an adapter, with which `made` answers.

    What is added is all of `source` but its weights, and a manifest.
    """
    for name in source.manifest["files"]:
        if not name.endswith(_WEIGHTS):
            shutil.copyfile(source.path / name, directory / name)
    about = {"engine": engine, "parameters": made.parameters, "source": source.identity}
    version, classifier = 2, made.classifier
    if isinstance(classifier, AdaptedClassifier):
        version, about = _WITH_BASE, about | {"base": {"weights": classifier.base.sha256}}
    write_json(directory / _MANIFEST, _manifest(directory, version) | about)


def _save_model(directory: Path, learner: Learner, recipe: Recipe) -> None:
    tokenizer = learner.tokenizer
    # `pipeline(…)(text, truncation=True)` then cuts where tunesmith cuts
    tokenizer.model_max_length = recipe.max_tokens or learner.window
    with quiet_transformers():
        learner.model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)


def _manifest(directory: Path, version: int) -> dict[str, Any]:
    hashes = {path.name: sha256_file(path) for path in sorted(directory.iterdir()) if path.is_file()}
    return {"format": version, "tunesmith": __version__, "files": hashes}


def is_bundle(path: Path) -> bool:
    """Whether `path` looks like a bundle, damaged or not."""
    return (path / _MANIFEST).is_file()


def needed_base(path: Path) -> NeededBase | None:
    """The base that the bundle at `path` needs, as it says without being verified; None: no other weights.

    Raises BundleError where there is no bundle, or one whose manifest cannot be read.
    """
    return _needed(_read_manifest(path))


def _needed(manifest: Mapping[str, Any]) -> NeededBase | None:
    if int(manifest["format"]) != _WITH_BASE:
        return None
    return NeededBase(str(manifest["base"]["weights"]), FP32_BYTES * int(manifest["parameters"]))


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and verify every file's hash.

    Raises BundleError: no bundle, written by a later version, a file missing or changed.
    """
    manifest = _read_manifest(path)
    problems = [fault for name, sha in manifest["files"].items() if (fault := _fault(path / name, sha))]
    if problems:
        raise BundleError(problems)
    task, recipe = read_config(path / "task.yaml", Task), read_config(path / "recipe.yaml", Recipe)
    return Bundle(path, task, recipe, manifest)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not is_bundle(path):
        fix = "name the `model` directory of a finished run, such as runs/news/model"
        raise BundleError(Problem("no-bundle", "this is no tunesmith model directory", str(path), fix))
    where = str(path / _MANIFEST)
    fix = _COPY_AGAIN
    try:
        manifest = read_json(path / _MANIFEST)
        version, files = int(manifest["format"]), {str(k): str(v) for k, v in manifest["files"].items()}
        _needed(manifest)
        if any(Path(name).name != name for name in files):
            # an export copies what is named here
            raise ValueError("a name leads out of the directory")
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(Problem("bundle-damaged", "the manifest cannot be read", where, fix)) from error
    if version > FORMAT:
        what = f"the bundle has format {version}, and this tunesmith ({__version__}) reads up to {FORMAT}"
        fix = "upgrade tunesmith: pip install --upgrade tunesmith"
        raise BundleError(Problem("bundle-version", what, where, fix))
    return {**manifest, "files": files}


def _fault(path: Path, sha256: str) -> Problem | None:
    fix = _COPY_AGAIN
    if not path.is_file():
        return Problem("bundle-damaged", "a file of the bundle is missing", str(path), fix)
    if sha256_file(path) != sha256:
        return Problem("bundle-damaged", "the file is not the one that was written", str(path), fix)
    return None
