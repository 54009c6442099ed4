"""Direct preference optimisation is what a plain, padded implementation computes, and nothing else."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax, logsigmoid

from tests.loops import SETTINGS
from tests.models import save_tiny_base
from tunesmith.model.cross_entropy import token_log_likelihoods
from tunesmith.model.encode import Encoded
from tunesmith.model.generator import load_generator
from tunesmith.model.packed import can_pack
from tunesmith.model.targets import EncodedTargets
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.loop import fit
from tunesmith.training.preference import (
    Preferring,
    margins_of,
    pair_scores,
    preferring_figures,
    wins,
)

BETA = 0.3
PAIRS = 6


def _targets(seed: int = 0) -> EncodedTargets:
    """Pairs whose answers have other lengths than each other; of one, several stretches are learned."""
    random = np.random.default_rng(seed)
    ids, learned = [], []
    for pair in range(PAIRS):
        prompt = random.integers(1, 300, 3 + pair)
        for _ in range(2):
            answer = random.integers(1, 300, random.integers(2, 12))
            ids.append(np.concatenate([prompt, answer]).astype(np.int32))
            mask = np.arange(len(ids[-1])) >= len(prompt)
            mask[-2] &= pair != 0
            learned.append(mask)
    starts = np.cumsum([0, *map(len, ids)])
    encoded = Encoded(np.concatenate(ids), starts, np.zeros(2 * PAIRS, np.int32))
    return EncodedTargets(encoded, np.concatenate(learned))


def _model(place: Path, architecture: str, **changes: Any) -> Any:
    base = save_tiny_base(place / architecture, architecture, **changes)
    return load_generator(str(base), dropout=0.0).model.double()


def _plain_log_likelihoods(model: Any, targets: EncodedTargets) -> torch.Tensor:
    """(answers,) by transformers' own padded forward and torch's own softmax."""
    rows = [torch.from_numpy(targets.encoded[row].astype(np.int64)) for row in range(len(targets))]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    masks = [torch.from_numpy(targets.learned_of(row)) for row in range(len(targets))]
    learned = torch.nn.utils.rnn.pad_sequence(masks, batch_first=True)
    seen = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    shares = log_softmax(model(input_ids=ids, attention_mask=seen).logits[:, :-1], -1)
    found = shares.gather(2, ids[:, 1:, None])[..., 0]
    return (found * learned[:, 1:]).sum(-1)


def _plain_loss(model: Any, base: Any, targets: EncodedTargets) -> torch.Tensor:
    with torch.no_grad():
        reference = _plain_log_likelihoods(base, targets)
    rewards = BETA * (_plain_log_likelihoods(model, targets) - reference)
    return -logsigmoid(rewards[0::2] - rewards[1::2]).sum()


def _referred(base: Any, place: Path, targets: EncodedTargets, **how: Any) -> Preferring:
    objective = Preferring(targets, 0, BETA)
    objective.refer(base, Checkpoints(place), "reference", micro_batch_tokens=40, **how)
    return objective


# blocks with and without rotary positions, and some that have to be padded
@pytest.mark.parametrize(
    ("architecture", "changes"),
    [("gpt2", {}), ("llama", {}), ("gpt2", {"scale_attn_by_inverse_layer_idx": True})],
)
def test_loss_and_gradients_are_those_of_a_plain_implementation(
    architecture: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    base, targets = _model(tmp_path, architecture, **changes).eval(), _targets()
    assert can_pack(base) is not bool(changes)
    model = deepcopy(base)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value), alpha=0.05)
    wanted = _plain_loss(model, base, targets)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(wanted, parameters, allow_unused=True)
    objective = _referred(base, tmp_path / "kept", targets)
    assert objective.weight([0, 3]) == 2.0
    assert objective.lengths.tolist() == targets.encoded.lengths.reshape(-1, 2).sum(axis=1).tolist()
    # in one micro-batch, and in several
    for groups in ([list(range(PAIRS))], [[4, 0], [1], [5, 2, 3]]):
        found = torch.stack([objective.loss(model, rows) for rows in groups]).sum()
        assert float(found.detach()) == pytest.approx(float(wanted.detach()), abs=1e-9)
        others = torch.autograd.grad(found, parameters, allow_unused=True)
        for one, other in zip(gradients, others, strict=True):
            assert one is None if other is None else (one - other).abs().max() < 1e-9


@pytest.mark.parametrize("tokens", [3, 1024, 1030])
def test_log_likelihoods_of_single_tokens(tokens: int) -> None:
    generator = torch.Generator().manual_seed(tokens)
    states = torch.randn(tokens, 8, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(50, 8, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(50, (tokens,), generator=generator)
    counts = torch.randn(tokens, generator=generator, dtype=torch.float64)
    wanted = log_softmax(states @ weight.T, -1).gather(1, targets[:, None])[:, 0]
    found = token_log_likelihoods(states, weight, targets)
    assert (wanted - found).abs().max() < 1e-12
    expected = torch.autograd.grad((wanted * counts).sum(), (states, weight))
    for one, other in zip(
        expected, torch.autograd.grad((found * counts).sum(), (states, weight)), strict=True
    ):
        assert (one - other).abs().max() < 1e-10


def test_in_bf16_gradients_stay_in_full_precision() -> None:
    states, weight = torch.randn(20, 8).requires_grad_(), torch.randn(50, 8).requires_grad_()
    targets = torch.randint(50, (20,))
    exact = torch.autograd.grad(token_log_likelihoods(states, weight, targets).sum(), (states, weight))
    with torch.autocast("cpu", torch.bfloat16):
        found = token_log_likelihoods(states, weight, targets)
    for one, other in zip(exact, torch.autograd.grad(found.sum(), (states, weight)), strict=True):
        assert other.dtype == torch.float32
        assert (one - other).norm() < 0.05 * one.norm()


def test_an_answer_of_which_nothing_is_left_counts_for_nothing(tmp_path: Path) -> None:
    base, targets = _model(tmp_path, "gpt2").eval(), _targets()
    nothing = EncodedTargets(targets.encoded, np.zeros_like(targets.learned))
    loss = _referred(base, tmp_path / "kept", nothing).loss(base, [0, 1])
    torch.autograd.backward(loss)
    assert float(loss.detach()) == pytest.approx(2 * np.log(2))


def test_the_base_is_asked_once_and_its_answers_are_kept(tmp_path: Path) -> None:
    base, targets = _model(tmp_path, "gpt2").eval(), _targets()
    first = _referred(base, tmp_path / "kept", targets)
    assert first.figures(base, 40)["preference_loss"] == pytest.approx(np.log(2), abs=1e-9)
    with torch.no_grad():
        for value in base.parameters():
            value.add_(0.1)
    again = _referred(base, tmp_path / "kept", targets, resume=True)
    assert (again.reference == first.reference).all()
    anew = _referred(base, tmp_path / "kept", targets)
    assert (anew.reference != first.reference).any()
    # what was damaged is asked again
    (tmp_path / "kept" / "reference" / "model.safetensors").write_bytes(b"")
    assert (_referred(base, tmp_path / "kept", targets, resume=True).reference == anew.reference).all()


def test_figures_and_ties() -> None:
    margins = np.array([2.0, -1.0, 0.0, 0.0])
    assert wins(margins).tolist() == [1.0, 0.0, 0.5, 0.5]
    figures = preferring_figures(margins)
    assert figures["reward_accuracy"] == 0.5
    assert figures["reward_margin"] == 0.25
    assert figures["preference_loss"] == pytest.approx(-np.log(1 / (1 + np.exp(-margins))).mean())
    assert figures == {name: values.mean() for name, values in pair_scores(margins).items()}
    # in any units: both answers gained the same
    assert margins_of(np.array([-3.0, -4.0]), np.array([-5.0, -6.0]), 0.1).tolist() == [0.0]


def test_smaller_micro_batches_train_alike(tmp_path: Path) -> None:
    base, targets = _model(tmp_path, "gpt2"), _targets()
    found = []
    for tokens in (20, 10_000):
        model, kept = deepcopy(base), Checkpoints(tmp_path / f"{tokens}")
        objective = _referred(model, tmp_path / f"{tokens}", targets)
        settings = replace(SETTINGS, micro_batch_tokens=tokens, packed=True)
        plan = Plan(objective.lengths, 2, int(objective.lengths.sum()) // 2, 0)
        fit(model, objective, plan, settings, evaluate=None, checkpoints=kept)
        found.append(torch.cat([value.detach().flatten() for value in model.parameters()]))
    assert (found[0] - found[1]).abs().max() < 1e-9
