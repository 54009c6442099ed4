from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.hostile import LIES, no_network
from tests.models import ARCHITECTURES, POLITICS, SPORTS, save_tiny_base
from tunesmith.errors import BaseError
from tunesmith.model.encode import count_tokens, encode
from tunesmith.model.forward import logits_of
from tunesmith.model.generator import load_generator
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


def _change(path: Path, name: str = "config.json", **values: object) -> None:
    config = json.loads((path / name).read_text())
    (path / name).write_text(json.dumps(config | values))


def _pickled(path: Path) -> None:
    """Weights that transformers would take from a pickle, although safetensors lie beside it."""
    weights = load_file(path / "model.safetensors")
    (path / "model.safetensors").rename(path / "other.safetensors")
    torch.save(weights, path / "weights.bin")
    _index(path, dict.fromkeys(weights, "weights.bin"))


def _elsewhere(path: Path) -> None:
    names = load_file(path / "model.safetensors")
    (path / "model.safetensors").rename(path.parent / "other.safetensors")
    (path / "more.safetensors").write_bytes(b"")
    _index(path, dict.fromkeys(names, "../other.safetensors"))


def _index(path: Path, weight_map: object) -> None:
    told = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(told))


_ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "evil/evil", "target_modules": ["c_attn"]}


@pytest.mark.parametrize("load", [lambda base: load_classifier(base, ("a", "b")), load_generator])
@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (_pickled, "unsafe-weights"),
        (_elsewhere, "unsafe-weights"),
        (lambda path: _index(path, ["x"]), "unsafe-weights"),
        (lambda path: (path / "adapter_config.json").write_text(json.dumps(_ADAPTER)), "base-with-adapter"),
        (lambda path: _change(path, attn_implementation="evil/attention"), "remote-code"),
        (lambda path: _change(path, _attn_implementation="paged|evil/attention@main"), "remote-code"),
        (lambda path: _change(path, quantization_config={"quant_method": "gptq", "bits": 4}), "bad-base"),
        (lambda path: _change(path, quantization_config=3), "bad-base"),
        (lambda path: _change(path, n_embd="x"), "bad-base"),
        (lambda path: (path / "config.json").write_text("3"), "bad-base"),
        (lambda path: (path / "config.json").write_text('["auto_map"]'), "bad-base"),
        (lambda path: (path / "tokenizer_config.json").write_text("3"), "bad-base"),
        *[
            ((lambda path, data=data: (path / "model.safetensors").write_bytes(data)), "bad-base")
            for data in LIES.values()
        ],
    ],
)
def test_a_hostile_base_runs_nothing_and_is_one_clear_error(
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[str], object],
    prepare: Callable[[Path], object],
    code: str,
) -> None:
    path = tmp_path / "base"
    shutil.copytree(tiny_base, path)
    prepare(path)
    unpickled: list[object] = []
    monkeypatch.setattr(torch, "load", lambda *given, **_options: unpickled.append(given))
    with no_network() as asked, pytest.raises(BaseError) as caught:
        load(str(path))
    assert [problem.code for problem in caught.value.problems] == [code]
    assert (unpickled, asked) == ([], [])


def test_a_model_of_another_s_code_is_loaded_as_transformers_has_it(tiny_base: Path, tmp_path: Path) -> None:
    """What a tokenizer says of code that it brings along is not heard."""
    path = tmp_path / "base"
    shutil.copytree(tiny_base, path)
    _change(path, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})
    (path / "evil.py").write_text("raise SystemExit")
    assert load_classifier(str(path), ("a", "b")).tokenizer("goal")["input_ids"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", "characters"),
        ("{{ messages.__class__ }}", "__class__"),
        (3, "no text"),
    ],
)
@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_hostile_chat_template_is_refused_wherever_it_lies(
    tiny_base: Path, tmp_path: Path, name: str, template: object, said: str
) -> None:
    path = tmp_path / "base"
    shutil.copytree(tiny_base, path)
    if name.endswith(".jinja"):
        (path / name).write_text(template if isinstance(template, str) else "{{ messages.__class__ }}")
    else:
        _change(path, name, chat_template=template)
    with pytest.raises(BaseError, match="bad-template") as caught:
        load_generator(str(path)).template.fill(
            [{"role": "user", "content": "goal"}], add_generation_prompt=True
        )
    assert name.endswith(".jinja") or said in str(caught.value)


_ADDRESSES = ("http://127.0.0.1/x", "https://evil.example/a/b", "file:///etc", "s3://a/b", "//evil/x", "hf:a")


@pytest.mark.parametrize("name", ["./absent", "no such name", "../x", "", *_ADDRESSES])
def test_what_can_be_no_base_is_refused(name: str) -> None:
    with no_network() as asked, pytest.raises(BaseError, match="no-base"):
        base_location(name)
    assert asked == []


def test_a_hub_name_offline_names_the_remedies() -> None:
    with pytest.raises(BaseError, match=r"(?s)base-unreachable.*directory that holds the model.*embedded"):
        load_classifier("openai-community/no-such-gpt", ("a", "b"))
