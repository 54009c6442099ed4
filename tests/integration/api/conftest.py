"""A tiny GPT-2 behind a real port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.listening import listening
from tunesmith.api.app import create_app
from tunesmith.api.context import Answers
from tunesmith.api.served import Loaded
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Load
from tunesmith.bundle import write_bundle
from tunesmith.model.encode import Encoded
from tunesmith.model.load import load_classifier
from tunesmith.predict import Prediction, Predictor
from tunesmith.recipe import Recipe
from tunesmith.task import Task

WriteModel = Callable[..., Path]
LABELS = ("politics", "sports", "weather")


class Slow:
    """A predictor that waits where a test says so, as a large model would."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.go_on = threading.Event()
        self.go_on.set()
        self.texts = 0

    @property
    def labels(self) -> tuple[str, ...]:
        return self.predictor.labels

    @property
    def max_tokens(self) -> int:
        return self.predictor.max_tokens

    def encode(self, texts: Sequence[str], /) -> Encoded:
        return self.predictor.encode(texts)

    def answer(self, encoded: Encoded, /) -> list[Prediction]:
        assert self.go_on.wait(30)
        self.texts += len(encoded)
        return self.predictor.answer(encoded)


@pytest.fixture(scope="session")
def predictor(tiny_base: Path) -> Predictor:
    classifier = load_classifier(str(tiny_base), LABELS)
    # an untrained head hardly tells texts apart
    classifier.model.score.weight.data *= 50
    return Predictor(classifier, 48)


@pytest.fixture(scope="session")
def write_model(predictor: Predictor) -> WriteModel:
    """A directory -> it holds a bundle of `predictor`, or of another."""

    def write(path: Path, made: Predictor = predictor) -> Path:
        scores = {"macro_f1": 0.9, "accuracy": 0.9}
        report = {
            "rows": 6,
            "metrics": scores,
            "intervals": {name: {"low": 0.8, "high": 1.0} for name in scores},
        }
        write_bundle(
            path,
            made.classifier,
            task=Task(labels=made.labels),
            recipe=Recipe(max_tokens=made.max_tokens),
            report=report,
            data_report={},
            card="",
        )
        return path

    return write


@pytest.fixture
def slow(predictor: Predictor) -> Iterator[Slow]:
    made = Slow(predictor)
    yield made
    made.go_on.set()


Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve_live() -> Iterator[Serve]:
    """A predictor and settings -> a client of a server that listens on a port of this machine."""
    with ExitStack() as stack:

        def start(
            model: Answers, others: Sequence[Loaded] = (), load: Load | None = None, **settings: Any
        ) -> httpx.Client:
            about = {"model": "tiny"}
            app = create_app(model, Settings(**settings), about=about, others=others, load=load)
            url = stack.enter_context(listening(app))
            return stack.enter_context(httpx.Client(base_url=url, timeout=30))

        yield start
