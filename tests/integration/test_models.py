from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.models import ARCHITECTURES, POLITICS, SPORTS, save_tiny_base
from tunesmith.errors import BaseError
from tunesmith.model.encode import count_tokens, encode
from tunesmith.model.forward import logits_of
from tunesmith.model.load import base_location, load_classifier, load_reader
from tunesmith.predict import Predictor

TEXTS = [*SPORTS, *POLITICS, "goal", "the " * 40]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name: str = request.param
    return save_tiny_base(tmp_path_factory.mktemp("base") / name, name)


def test_a_base_is_made_ready(base: Path) -> None:
    classifier = load_classifier(str(base), ("politics", "sports"))
    assert classifier.tokenizer.pad_token is not None
    assert classifier.tokenizer.padding_side == "right"
    assert classifier.model.config.pad_token_id == classifier.tokenizer.pad_token_id
    assert classifier.model.config.id2label == {0: "politics", 1: "sports"}
    assert classifier.model.config.label2id == {"politics": 0, "sports": 1}
    assert classifier.window == 64
    assert load_reader(str(base)).window == 64


def test_answers_do_not_depend_on_the_batch(base: Path) -> None:
    classifier = load_classifier(str(base), ("a", "b", "c"))
    predictor = Predictor(classifier, max_tokens=64)
    together = predictor.probabilities(predictor.encode(TEXTS))
    alone = np.concatenate([predictor.probabilities(predictor.encode([text])) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-9


def test_left_padding_asked_for_by_the_base_is_overruled(base: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    shutil.copytree(base, left)
    path = left / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    answers = []
    for place in (base, left):
        predictor = Predictor(load_classifier(str(place), ("a", "b"), seed=5), 64)
        answers.append(predictor.probabilities(predictor.encode(TEXTS)))
    assert np.array_equal(answers[0], answers[1])


def test_the_seed_decides_the_head(base: Path) -> None:
    def logits(seed: int) -> np.ndarray:
        classifier = load_classifier(str(base), ("a", "b"), seed=seed)
        encoded = encode(classifier.tokenizer, TEXTS, 64)
        return logits_of(classifier.model, encoded, 2, classifier.tokenizer.pad_token_id, 8192)

    assert np.array_equal(logits(1), logits(1))
    assert not np.array_equal(logits(1), logits(2))


def test_encoding_cuts_and_says_so(tiny_base: Path) -> None:
    tokenizer = load_reader(str(tiny_base)).tokenizer
    encoded = encode(tokenizer, ["goal", "the match " * 90, ""], 10)
    lengths = encoded.lengths.tolist()
    assert lengths[1] == 10
    assert lengths[2] == 1
    assert encoded.truncated.tolist() == [False, True, False]
    assert count_tokens(tokenizer, ["the match " * 90])[0] > 100
    assert len(encode(tokenizer, [], 10)) == 0


def test_dropout_is_set_everywhere(tiny_base: Path) -> None:
    config = load_classifier(str(tiny_base), ("a", "b"), dropout=0.3).model.config
    assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda path: (path / "config.json").unlink(), "no-base"),
        (lambda path: (path / "model.safetensors").unlink(), "unsafe-weights"),
        (lambda path: (path / "model.safetensors").write_bytes(b"\xff" * 99), "bad-base"),
        (lambda path: (path / "tokenizer.json").unlink(), "bad-base"),
        (lambda path: _change(path, auto_map={"AutoModel": "evil.Model"}), "remote-code"),
        (lambda path: _change(path, model_type="t5", architectures=["T5Model"]), "weights-do-not-fit"),
        (lambda path: _change(path, n_layer=3), "weights-do-not-fit"),
        (lambda path: _change(path, vocab_size=99), "tokenizer-does-not-fit"),
        (lambda path: _change(path, model_type="never-heard-of"), "bad-base"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_clear_error(
    tiny_base: Path, tmp_path: Path, prepare: object, code: str
) -> None:
    path = tmp_path / "base"
    shutil.copytree(tiny_base, path)
    assert callable(prepare)
    prepare(path)
    with pytest.raises(BaseError) as caught:
        load_classifier(str(path), ("a", "b"))
    assert [problem.code for problem in caught.value.problems] == [code]


def _change(path: Path, **values: object) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize("name", ["./absent", "no such name", "../x", ""])
def test_what_can_be_no_base_is_refused(name: str) -> None:
    with pytest.raises(BaseError, match="no-base"):
        base_location(name)


def test_a_hub_name_offline_names_the_remedies() -> None:
    with pytest.raises(BaseError, match=r"(?s)base-unreachable.*directory that holds the model.*embedded"):
        load_classifier("openai-community/no-such-gpt", ("a", "b"))
