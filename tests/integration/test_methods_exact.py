"""What the methods leave out or do at once is the same as doing all of it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.loops import SETTINGS
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.model.encode import Encoded, encode
from tunesmith.model.forward import batch_features, batch_logits, softmax
from tunesmith.model.layers import block_count, linear_layers
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.recipe import DataFacts, Recipe, resolve
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.frozen import freeze, frozen_states
from tunesmith.training.head import fit_head
from tunesmith.training.loop import fit
from tunesmith.training.lora import add_adapters, merge_adapters
from tunesmith.training.objective import Classification, label_weights
from tunesmith.training.qlora import whole_model

LABELS = ("politics", "sports", "weather")


def _classifier(directory: Path, architecture: str) -> Classifier:
    save_tiny_base(directory / architecture, architecture)
    return load_classifier(str(directory / architecture), LABELS, dropout=0.0)


def _objective(classifier: Classifier, seed: int = 0, rows: int = 45) -> Classification:
    rain = ["rain will fall", "a storm is near", "the sun will shine on the coast all day long"]
    texts = [f"{(POLITICS, SPORTS, rain)[i % 3][i // 3 % 3]} {seed} {i // 9}" for i in range(rows)]
    ids = _ids(rows)
    encoded = encode(classifier.tokenizer, texts, 64)
    return Classification(encoded, ids, classifier.tokenizer.pad_token_id, label_weights(ids, 3))


def _ids(rows: int) -> list[int]:
    # the first ones are wrong, so that no head can tell all of them apart
    return [0, 1, 2, 1, 2, 0, *(i % 3 for i in range(6, rows))]


def _logits(model: Any, encoded: Encoded) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return batch_logits(model, [encoded[row] for row in range(len(encoded))], 0)


@pytest.mark.parametrize("most_bytes", [0, 1 << 30])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
def test_cached_lower_blocks_train_as_if_they_were_run(
    tmp_path: Path, architecture: str, most_bytes: int
) -> None:
    classifier = _classifier(tmp_path, architecture)
    cached, whole = classifier.model, deepcopy(classifier.model)
    objective = _objective(classifier)
    for model in (cached, whole):
        freeze(model, 1)
    plan = Plan(objective.lengths, 3, 100, 1)
    options: dict[str, Any] = {"evaluate": lambda _: {"score": 0.0}}
    fit(whole, objective, plan, SETTINGS, checkpoints=Checkpoints(tmp_path / "a"), **options)
    spill = tmp_path / "spill.bin"
    with frozen_states(cached, objective.encoded, 1, SETTINGS, most_bytes=most_bytes, spill=spill) as states:
        assert spill.exists() == (most_bytes == 0)
        fit(
            cached,
            objective.with_logits(states.logits),
            plan,
            SETTINGS,
            checkpoints=Checkpoints(tmp_path / "b"),
            **options,
        )
    assert not spill.exists()
    assert (_logits(cached, objective.encoded) - _logits(whole, objective.encoded)).abs().max() < 1e-5
    trained = dict(cached.named_parameters())
    for name, value in whole.named_parameters():
        # what all keys share changes no answer: AdamW makes whole steps of the rounding that is its gradient
        if name.endswith(("c_attn.bias", "query_key_value.bias")):
            continue
        assert torch.allclose(value, trained[name], atol=2e-5), name


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_head_is_the_optimum_that_scikit_learn_finds(tmp_path: Path, architecture: str) -> None:
    from sklearn.linear_model import LogisticRegression

    classifier = _classifier(tmp_path, architecture)
    model, train, held_out = classifier.model, _objective(classifier), _objective(classifier, 1, 18)
    before = {name: value.clone() for name, value in model.base_model.state_dict().items()}
    fitted = fit_head(
        model,
        train,
        held_out,
        SETTINGS,
        evaluate=lambda _: {"score": 1.0, "macro_f1": 0.5},
        checkpoints=Checkpoints(tmp_path / "run"),
    )
    losses = [row["validation_loss"] for row in fitted.history]
    assert fitted.best_step == 1 + int(np.argmin(losses))
    assert fitted.history[fitted.best_step - 1]["macro_f1"] == 0.5
    strength = fitted.history[fitted.best_step - 1]["strength"]
    with torch.no_grad():
        rows = [train.encoded[row] for row in range(45)]
        features = batch_features(model, rows, 0).double().numpy()
    ids = _ids(45)
    weights = label_weights(ids, 3)[ids]
    expected = LogisticRegression(
        C=1 / (strength * weights.sum()), fit_intercept=False, tol=1e-10, max_iter=10_000
    )
    expected.fit(features / features.std(0), ids, sample_weight=weights)
    plain = expected.coef_ / features.std(0)
    found = model.score.weight.detach().double().numpy()
    assert np.abs(softmax(features @ found.T) - softmax(features @ plain.T)).max() < 1e-3
    for name, value in model.base_model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_without_validation_rows_folds_choose_the_penalty(tmp_path: Path) -> None:
    classifier = _classifier(tmp_path, "gpt2")
    train = _objective(classifier)
    fitted = fit_head(
        classifier.model, train, None, SETTINGS, evaluate=None, checkpoints=Checkpoints(tmp_path / "run")
    )
    losses = [row["validation_loss"] for row in fitted.history]
    assert fitted.best_step == 1 + int(np.argmin(losses))
    # a head that has seen the rows it is judged by would do best without any penalty
    assert min(losses) < losses[-1]
    assert fitted.history[-1]["train_loss"] < losses[-1]


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neo", "gpt_neox", "llama", "qwen2"])
def test_merged_adapters_answer_as_they_did(tmp_path: Path, architecture: str) -> None:
    classifier = _classifier(tmp_path, architecture)
    model, encoded = classifier.model, _objective(classifier).encoded
    facts = DataFacts(
        examples=45,
        mean_tokens=9,
        longest_tokens=20,
        label_counts=(15, 15, 15),
        window=64,
        parameters=classifier.parameters,
        blocks=block_count(model),
        linear_layers=linear_layers(model),
    )
    recipe = resolve(Recipe(method="lora", lora_rank=3), facts)
    before = _logits(model, encoded)
    names = {name for name, _ in model.named_parameters()}
    adapters = add_adapters(model, recipe)
    # to rounding: with an adapter on them the last block's keys and values are made, without they need not be
    assert (_logits(model, encoded) - before).abs().max() < 1e-6, "adapters begin as nothing"
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert len(trained) == 2 * len(facts.linear_layers) + 1
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    adapted = _logits(model, encoded)
    assert (adapted - before).abs().max() > 1e-2
    copied = whole_model(model)
    merge_adapters(adapters)
    for plain in (model, copied):
        assert {name for name, _ in plain.named_parameters()} == names
        assert (_logits(plain, encoded) - adapted).abs().max() < 1e-5
