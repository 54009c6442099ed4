"""A base, or a model that a job made -> something that answers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith import __version__
from tunesmith.api.exchange import log_event, log_fault
from tunesmith.api.fitting import check_fits, free_memory, too_large
from tunesmith.api.gate import Gate
from tunesmith.api.refusal import Refusal
from tunesmith.api.root import weights_bytes
from tunesmith.api.served import Loaded, Served
from tunesmith.api.settings import Settings
from tunesmith.api.turns import Turns
from tunesmith.errors import StorageError, UserError
from tunesmith.files import sha256_bytes
from tunesmith.studio.answering.answerer import Answerer
from tunesmith.studio.answering.labelling import ClassifierAnswers
from tunesmith.studio.answering.memory import Load
from tunesmith.studio.answering.writing import WriterAnswers
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.refusing import no_such_model, storage_fault
from tunesmith.studio.types import Model
from tunesmith.training.memory import is_out_of_memory

if TYPE_CHECKING:
    from tunesmith.model.generator import Generator
    from tunesmith.writer import Writer

__all__ = ["Loader"]

_FINGERPRINT_CHARS = 12


class Loader:
    """Loads what a studio answers with; whatever keeps a model from it is a Refusal, which the log has."""

    def __init__(self, blobs: Blobs, config: StudioConfig, settings: Settings, turns: Turns) -> None:
        self._blobs, self._config, self._settings, self._turns = blobs, config, settings, turns

    def base(self, name: str) -> Load:
        """What loads a base of the studio, which writes."""
        return lambda: self._guarded(name, lambda: self._base(name))

    def model(self, model: Model) -> Load:
        """What loads a model that a job made."""
        return lambda: self._guarded(model.id, lambda: self._model(model))

    def _base(self, name: str) -> Answerer:
        from tunesmith.model.base import base_location
        from tunesmith.writer import Writer

        location = base_location(self._config.bases[name])
        if Path(location).is_dir():
            check_fits(weights_bytes(Path(location)), free_memory(), "model")
        generator = _generator(location, self._config.recipe.get("revision"))
        return self._writer(Writer(generator, generator.window), location, asked_in_turns=False)

    def _model(self, model: Model) -> Answerer:
        from tunesmith.bundle import open_bundle

        place = self._directory(model)
        check_fits(weights_bytes(place), free_memory(), "model")
        bundle = open_bundle(place)
        if model.form == "writer":
            return self._writer(
                bundle.writer(), bundle.identity, asked_in_turns=bundle.task.kind == "completion"
            )
        loaded = Loaded(bundle.predictor(), {"model": model.id}, bundle.task)
        waiting = Gate(self._settings.max_waiting)
        served = Served(loaded, self._settings, self._turns, waiting, lambda _texts, _tokens, _seconds: None)
        return ClassifierAnswers(served, _fingerprint(bundle.identity))

    def _directory(self, model: Model) -> Path:
        try:
            return self._blobs.directory(model.blob)
        except StorageError as error:
            if "no-file" in (problem.code for problem in error.problems):
                # it was removed after it was found
                raise no_such_model() from None
            log_fault("load", error)
            raise storage_fault() from None

    def _writer(self, writer: Writer, identity: str, *, asked_in_turns: bool) -> Answerer:
        return WriterAnswers(writer, self._turns, _fingerprint(identity), asked_in_turns=asked_in_turns)

    def _guarded(self, name: str, load: Load) -> Answerer:
        try:
            answers = load()
        except Refusal:
            raise
        except UserError as error:
            codes = ", ".join(dict.fromkeys(problem.code for problem in error.problems))
            places = ", ".join(problem.where for problem in error.problems)
            told = {"model": name, "codes": codes, "at": places}
            log_event(f"model {name} not loaded: {codes} at {places}", "not-loaded", told, logging.ERROR)
            raise _bad(f"its files cannot be used ({codes}); the operator's log has more") from None
        except Exception as error:  # noqa: BLE001 -- a damaged file may raise anything
            if is_out_of_memory(error):
                raise too_large("the memory ran out while it was loaded", "model") from None
            log_fault("load", error)
            raise _bad("something in it is damaged; the operator's log has more") from None
        log_event(f"model {name} loaded", "loaded", {"model": name})
        return answers


def _generator(location: str, revision: str | None) -> Generator:
    from tunesmith.model.generator import load_generator

    return load_generator(location, revision=revision)


def _fingerprint(identity: str) -> str:
    return f"fp_{sha256_bytes(f'{__version__} {identity}'.encode())[:_FINGERPRINT_CHARS]}"


def _bad(why: str) -> Refusal:
    return Refusal("bad-model", f"the model is not loaded: {why}", param="model")
