"""Muon beside what it is defined by: a singular value decomposition, and AdamW where it is AdamW."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from tests.unit.training.test_loop import SETTINGS
from tunesmith.training.muon import Muon, hidden_matrices, orthogonal
from tunesmith.training.optimizer import optimizer_for
from tunesmith.training.state import OptimizerName

GPT2 = GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=48, n_positions=16)
LLAMA = LlamaConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=2,
    intermediate_size=40,
    vocab_size=48,
    tie_word_embeddings=False,
)


def _taught(config: Any, optimizer: OptimizerName) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """The model before and after a step, and its gradients."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    before = copy.deepcopy(model)
    stepper = optimizer_for(model, replace(SETTINGS, weight_decay=0.0, optimizer=optimizer))
    ids = torch.arange(16)[None] * 3
    for group in stepper.param_groups:
        group["lr"] = 0.01
    model(input_ids=ids, labels=ids).loss.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    stepper.step()
    return before, model, gradients


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 8, 40), (2, 40, 8)])
def test_singular_values_become_about_one_and_singular_vectors_stay(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = orthogonal(matrices)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    seen = u.mT @ made @ vh.mT
    large = s / s.amax(-1, keepdim=True) > 0.1
    values = torch.diagonal(seen, dim1=-2, dim2=-1)
    assert values[large].min() > 0.6
    assert values[large].max() < 1.25
    assert (seen - torch.diag_embed(values)).abs().max() < 1e-9


@pytest.mark.parametrize("config", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_the_matrices_of_the_blocks_are_muons_and_all_else_is_adamws(config: Any) -> None:
    before, after, _ = _taught(config, "muon")
    _, adamw, _ = _taught(config, "adamw")
    names = {id(value): name for name, value in before.named_parameters()}
    hidden = {names[id(value)] for value in hidden_matrices(before)}
    per_block = 4 if config is GPT2 else 7
    assert len(hidden) == 2 * per_block
    assert not any("wte" in name or "embed" in name or "lm_head" in name for name in hidden)
    for name, value in after.named_parameters():
        same = torch.equal(value, adamw.get_parameter(name))
        assert same is (name not in hidden), name


def test_a_step_is_the_nearest_orthogonal_matrix_as_large_as_adamws() -> None:
    before, after, gradients = _taught(LLAMA, "muon")
    name = "model.layers.0.mlp.up_proj.weight"
    moved = (before.get_parameter(name) - after.get_parameter(name)).double()
    u, _, vh = torch.linalg.svd(gradients[name].double(), full_matrices=False)
    along = torch.diagonal(u.mT @ moved @ vh.mT) / (0.01 * 0.2 * math.sqrt(40))
    assert along[:8].min() > 0.6
    assert along[:8].max() < 1.25


def test_query_key_and_value_of_gpt2_are_three_matrices() -> None:
    before, after, gradients = _taught(GPT2, "muon")
    name = "transformer.h.0.attn.c_attn.weight"
    moved = before.get_parameter(name) - after.get_parameter(name)
    for part, gradient in zip(moved.chunk(3, 1), gradients[name].chunk(3, 1), strict=True):
        expected = orthogonal(gradient[None])[0] * 0.01 * 0.2 * math.sqrt(16)
        assert torch.allclose(part, expected, atol=1e-6)


def test_weights_without_a_gradient_stay() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 4))
    optimizer = Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.1}], lr=0.1)
    optimizer.step()
    assert torch.equal(weight, torch.ones(4, 4))
