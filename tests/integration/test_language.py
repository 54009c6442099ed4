"""What is learned of prompts and completions is what transformers' own forward would teach, row by row."""

from __future__ import annotations

import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.model.encode import Encoded
from tunesmith.model.generator import load_generator
from tunesmith.model.language import learned_loss, token_sums
from tunesmith.model.layers import linear_layers
from tunesmith.model.packed import can_pack
from tunesmith.model.targets import EncodedTargets
from tunesmith.training.completion import Completion

LENGTHS = [2, 3, 7, 9, 20, 40, 63]
UNTIED = {"tie_word_embeddings": False}
BASES: list[tuple[str, dict[str, Any]]] = [
    *((architecture, {}) for architecture in (*ARCHITECTURES, "qwen3")),
    *((architecture, {"tie_word_embeddings": True}) for architecture in ("llama", "qwen2", "gpt_neox")),
    *((architecture, UNTIED) for architecture in ("gpt2", "gpt_neo", "gpt_neox")),
]


@pytest.fixture(scope="module", params=BASES, ids=lambda base: f"{base[0]}-{base[1]}")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    architecture, changes = request.param
    base = save_tiny_base(tmp_path_factory.mktemp("base") / architecture, architecture, **changes)
    return load_generator(str(base), dropout=0.0).model.double().eval()


@pytest.fixture(scope="module")
def adapted(model: Any) -> Any:
    """A copy of the model in PEFT's own wrapper, with adapters that are not zero."""
    from peft import LoraConfig, get_peft_model

    targets = sorted({name.rpartition(".")[2] for name in linear_layers(model)})
    config = LoraConfig(
        r=4,
        target_modules=targets,
        init_lora_weights=False,
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    torch.manual_seed(0)
    with warnings.catch_warnings():
        # PEFT's wrapper asks transformers for a name that is on its way out
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(deepcopy(model), config).double().eval()


def _targets(count: int, seed: int) -> EncodedTargets:
    """Rows of which an ending, or several stretches, or all, or nothing is learned."""
    random = np.random.default_rng(seed)
    lengths = random.permutation(LENGTHS)[:count]
    learned = [
        _learned(int(length), kind, random) for length, kind in zip(lengths, range(count), strict=True)
    ]
    ids = [random.integers(1, 300, length).astype(np.int32) for length in lengths]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    encoded = Encoded(np.concatenate(ids), starts, np.zeros(count, np.bool_))
    return EncodedTargets(encoded, np.concatenate(learned))


def _learned(length: int, kind: int, random: Any) -> Any:
    mask = np.zeros(length, np.bool_)
    match kind % 4:
        case 0:
            mask[max(1, length - 5) :] = True
        case 1:
            mask[1:] = random.random(length - 1) < 0.4
        case 2:
            mask[1:] = True
        case _:
            mask[1 : length // 2] = True
    return mask


def _own_loss(model: Any, texts: EncodedTargets, rows: Any) -> torch.Tensor:
    """One row at a time through the model's own forward."""
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        ids = torch.from_numpy(texts.encoded[row].astype(np.int64))[None]
        mask = texts.learned[texts.encoded.starts[row] : texts.encoded.starts[row + 1]]
        labels = ids.masked_fill(~torch.from_numpy(mask)[None], -100)
        logits = model(input_ids=ids).logits
        total = total + cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum", ignore_index=-100)
    return total


def _gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.autograd.backward(loss)
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def _exact(model: Any) -> float:
    # GPT-Neo computes its attention weights in fp32 whatever its weights are
    return 1e-5 if model.config.model_type == "gpt_neo" else 1e-9


def _assert_equal(model: Any, texts: EncodedTargets) -> None:
    assert can_pack(model)
    rows = range(len(texts))
    own = _own_loss(model, texts, rows)
    found = learned_loss(model, texts, rows, 0)
    assert abs(float(own.detach() - found.detach())) < _exact(model) * max(1.0, float(own.detach()))
    expected, gradients = _gradients(model, own), _gradients(model, found)
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        assert (gradient - gradients[name]).abs().max() < _exact(model), name


@pytest.mark.parametrize("count", range(1, 8))
def test_loss_and_gradients_are_those_of_transformers(model: Any, count: int) -> None:
    _assert_equal(model, _targets(count, seed=count))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_with_adapters_too(adapted: Any, count: int) -> None:
    _assert_equal(adapted, _targets(count, seed=count))


def test_no_example_sees_another(model: Any) -> None:
    texts, changed = _targets(7, seed=1), 2
    first = slice(*texts.encoded.starts[changed : changed + 2])
    flat = texts.encoded.flat.copy()
    flat[first] = (flat[first] + 17) % 300
    encoded = Encoded(flat, texts.encoded.starts, texts.encoded.truncated)
    others = EncodedTargets(encoded, texts.learned)
    sums, other_sums = (token_sums(model, each, 0, 10_000) for each in (texts, others))
    unchanged = np.arange(7) != changed
    assert np.array_equal(sums.log_loss[unchanged], other_sums.log_loss[unchanged])
    assert sums.log_loss[changed] != other_sums.log_loss[changed]
    # what all rows teach, less what the changed one does, is the same
    left = [
        {
            name: gradient - alone[name]
            for name, gradient in _gradients(model, learned_loss(model, each, range(7), 0)).items()
        }
        for each in (texts, others)
        for alone in [_gradients(model, learned_loss(model, each, [changed], 0))]
    ]
    for name, value in left[0].items():
        assert (value - left[1][name]).abs().max() < 1e-5, name


def test_token_sums_are_those_of_transformers(model: Any) -> None:
    texts = _targets(7, seed=3)
    sums = token_sums(model, texts, 0, 64)
    assert np.array_equal(sums.tokens, texts.counts)
    correct = 0
    with torch.no_grad():
        for row in range(7):
            assert abs(float(_own_loss(model, texts, [row])) - sums.log_loss[row]) < _exact(model) * 100
            ids = texts.encoded[row].astype(np.int64)
            likeliest = model(input_ids=torch.from_numpy(ids)[None]).logits[0].argmax(-1).numpy()
            mask = texts.learned[texts.encoded.starts[row] : texts.encoded.starts[row + 1]]
            correct += int((likeliest[:-1] == ids[1:])[mask[1:]].sum())
    assert sums.correct.sum() == correct
    figures = sums.figures()
    assert figures["token_accuracy"] == correct / texts.counts.sum()
    assert figures["perplexity"] == pytest.approx(np.exp(figures["log_loss"]))


@pytest.mark.parametrize(("architecture", "changes"), [("gptj", {}), ("mistral", {"sliding_window": 8})])
def test_other_architectures_are_padded(tmp_path: Path, architecture: str, changes: dict[str, Any]) -> None:
    base = save_tiny_base(tmp_path / "base", architecture, **changes)
    model = load_generator(str(base), dropout=0.0).model.double().eval()
    assert not can_pack(model)
    texts = _targets(7, seed=2)
    own, found = _own_loss(model, texts, range(7)), learned_loss(model, texts, range(7), 0)
    assert abs(float(own.detach() - found.detach())) < 1e-9 * float(own.detach())
    expected, gradients = _gradients(model, own), _gradients(model, found)
    for name, gradient in expected.items():
        assert (gradient - gradients[name]).abs().max() < 1e-9, name
    log_loss = token_sums(model, texts, 0, 64).log_loss.sum()
    assert log_loss == pytest.approx(float(own.detach()))


def test_bf16(tiny_base: Path) -> None:
    model, texts = load_generator(str(tiny_base), dropout=0.0).model, _targets(7, seed=2)
    exact = learned_loss(model, texts, range(7), 0)
    expected = _gradients(model, exact)
    with torch.autocast("cpu", torch.bfloat16):
        loss = learned_loss(model, texts, range(7), 0)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), rel=2e-3)
    for name, gradient in _gradients(model, loss).items():
        assert gradient.dtype == torch.float32
        assert (gradient - expected[name]).norm() < 0.05 * expected[name].norm() + 1e-3, name


def test_rows_without_anything_to_learn_teach_nothing(tiny_base: Path) -> None:
    model = load_generator(str(tiny_base), dropout=0.0).model
    texts = _targets(2, seed=2)
    nothing = EncodedTargets(texts.encoded, np.zeros_like(texts.learned))
    objective = Completion(nothing, 0)
    assert objective.weight([0, 1]) == 1.0
    assert not any(gradient.any() for gradient in _gradients(model, objective.loss(model, [0, 1])).values())
    learned = texts.learned.copy()
    learned[: texts.encoded.starts[1]] = False
    half = Completion(EncodedTargets(texts.encoded, learned), 0)
    assert half.weight([0, 1]) == texts.counts[1]
    assert torch.equal(half.loss(model, [0, 1]), Completion(texts, 0).loss(model, [1]))
