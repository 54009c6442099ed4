"""A graph answers as the model does, whatever it is batched with."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

from tests.models import ARCHITECTURES, SPORTS, save_tiny_base
from tunesmith.model.encode import encode
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.onnx.graph import write_graph
from tunesmith.onnx.int8 import write_int8
from tunesmith.onnx.session import OnnxEngine
from tunesmith.predict import Predictor

LABELS = ("sports", "politics", "other")
TASKS = Path("/proc/self/task")
TEXTS = ["", "a", *SPORTS, " ".join(SPORTS), "the coach " * 20]


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "gptj"])
def exported(request: Any, tmp_path_factory: Any) -> tuple[Classifier, Path]:
    place: Path = tmp_path_factory.mktemp(request.param)
    classifier = load_classifier(str(save_tiny_base(place / "base", request.param)), LABELS, seed=3)
    classifier.model.eval()
    write_graph(classifier.model, place / "model.onnx")
    return classifier, place / "model.onnx"


def engine(path: Path, classifier: Classifier) -> OnnxEngine:
    return OnnxEngine(path, len(LABELS), classifier.tokenizer.pad_token_id, name="onnx", parameters=1)


@contextmanager
def several_threads() -> Iterator[None]:
    """Tests compute with one thread otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def test_a_graph_answers_as_the_model(exported: tuple[Classifier, Path]) -> None:
    classifier, path = exported
    encoded = encode(classifier.tokenizer, TEXTS, classifier.window)
    expected = Predictor(classifier, classifier.window).logits(encoded)
    np.testing.assert_allclose(engine(path, classifier).logits(encoded, 4096), expected, atol=1e-5)


def test_an_answer_of_a_graph_does_not_depend_on_its_batch(exported: tuple[Classifier, Path]) -> None:
    classifier, path = exported
    model = Predictor(classifier, classifier.window, engine=engine(path, classifier))
    together = np.array([list(each.scores.values()) for each in model.predict(TEXTS)])
    alone = np.array([list(model.predict([text])[0].scores.values()) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_8_bit_answers_do_not_depend_on_their_batch_and_are_near(
    exported: tuple[Classifier, Path], tmp_path: Path
) -> None:
    classifier, path = exported
    if classifier.model.config.model_type == "gptj":
        pytest.skip("texts of GPT-J are padded: it has no 8-bit graph")
    write_int8(path, tmp_path / "int8.onnx")
    small = engine(tmp_path / "int8.onnx", classifier)
    encoded = encode(classifier.tokenizer, TEXTS, classifier.window)
    together = small.logits(encoded, 4096)
    alone = np.concatenate(
        [small.logits(encode(classifier.tokenizer, [text], classifier.window), 4096) for text in TEXTS]
    )
    np.testing.assert_allclose(together, alone, atol=1e-5)
    exact = Predictor(classifier, classifier.window).logits(encoded)
    assert 0 < np.abs(together - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own elsewhere")
def test_its_threads_stand_behind_others(exported: tuple[Classifier, Path]) -> None:
    classifier, path = exported
    with several_threads():
        before = set(TASKS.iterdir())
        opened = engine(path, classifier)
        helpers = set(TASKS.iterdir()) - before
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    found = [priority for helper in helpers if (priority := priority_of(int(helper.name))) is not None]
    assert found
    assert all(priority > ours for priority in found)
    assert opened.parameters == 1


def priority_of(thread: int) -> int | None:
    """None where it has ended meanwhile, as the one does that begins the engine."""
    try:
        return os.getpriority(os.PRIO_PROCESS, thread)
    except ProcessLookupError:
        return None
