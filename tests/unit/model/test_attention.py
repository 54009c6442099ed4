from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.kernels import BOTH_WAYS, compute_by
from tunesmith.model.attention import attend, attend_from_last, attend_seen
from tunesmith.model.attention_gpu import attend_padded
from tunesmith.model.dropout import Keep, add_dropped, drop, keep_mask
from tunesmith.model.scoring import Scoring
from tunesmith.model.unprojected import affine, mixed_unprojected

# below, at and over the tiles' edges; some fill up to others
LENGTHS = [1, 5, 110, 6, 127, 128, 129, 300, 7]
HEADS, WIDTH = 2, 8


@pytest.fixture(params=BOTH_WAYS, autouse=True)
def computed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_by(request.param, monkeypatch)


def _states(tokens: int, heads: int = HEADS, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(tokens, heads, WIDTH, generator=generator, dtype=torch.float64)
    return states.requires_grad_()


def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: list[int],
    queries: list[int],
    scoring: Scoring,
) -> torch.Tensor:
    """Text after text with an explicit mask, by torch."""
    mixed = []
    for q, k, v in zip(
        torch.split(query, queries),
        torch.split(key, lengths),
        torch.split(value, lengths),
        strict=True,
    ):
        at = torch.arange(len(k))
        before = at[len(k) - len(q) :, None] - at
        seen = (before >= 0) & (before < (scoring.window or len(k)))
        of_text = scaled_dot_product_attention(
            q.transpose(0, 1)[None],
            k.transpose(0, 1)[None],
            v.transpose(0, 1)[None],
            attn_mask=seen,
            scale=scoring.scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        mixed.append(of_text[0].transpose(0, 1))
    return torch.cat(mixed).flatten(1)


@pytest.mark.parametrize("window", [None, 1, 40, 200])
@pytest.mark.parametrize("queries", [LENGTHS, [1] * len(LENGTHS), [1, 3, 100, 2, 127, 1, 50, 140, 2]])
@pytest.mark.parametrize("key_heads", [HEADS, 1])
@pytest.mark.parametrize("way", [attend, attend_padded, attend_seen])
def test_equals_torchs_attention(window: int | None, queries: list[int], key_heads: int, way: object) -> None:
    tokens = sum(LENGTHS)
    query, key, value = _states(tokens), _states(tokens, key_heads, 1), _states(tokens, key_heads, 2)
    scoring = Scoring(0.3, window=window)
    ends = np.cumsum(LENGTHS)
    rows = torch.cat([torch.arange(end - count, end) for end, count in zip(ends, queries, strict=True)])
    expected = _one_by_one(query[rows], key, value, LENGTHS, queries, scoring)
    if way is attend:
        found = attend(query[rows], key, value, LENGTHS, scoring, queries)
    elif way is attend_seen:
        before = [torch.arange(length)[:, None] - torch.arange(length) for length in LENGTHS]
        found = attend_seen(query[rows], key, value, LENGTHS, queries, before, scoring)
    else:
        keys, values = (states.repeat_interleave(HEADS // key_heads, 1) for states in (key, value))
        found = attend_padded(query[rows], keys, values, LENGTHS, scoring, queries).flatten(1)
    assert (found - expected).abs().max() < 1e-12
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), (query, key, value), retain_graph=True)
    gradients = torch.autograd.grad((found * weights).sum(), (query, key, value))
    for one, other in zip(wanted, gradients, strict=True):
        assert (one - other).abs().max() < 1e-12


@pytest.mark.parametrize("window", [None, 1, 40])
@pytest.mark.parametrize("heads", [1, 5, 130])
def test_all_heads_of_a_last_token_attend_to_the_states_themselves(window: int | None, heads: int) -> None:
    query, states = _states(len(LENGTHS), heads), _states(sum(LENGTHS), 1, 1)
    scoring = Scoring(0.3, window=window)
    seen = states.expand(-1, heads, -1)
    expected = _one_by_one(query, seen, seen, LENGTHS, [1] * len(LENGTHS), scoring)
    found = attend_from_last(query, states[:, 0], LENGTHS, scoring).flatten(1)
    assert (found - expected).abs().max() < 1e-12
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), (query, states))
    gradients = torch.autograd.grad((found * weights).sum(), (query, states))
    for one, other in zip(wanted, gradients, strict=True):
        assert (one - other).abs().max() < 1e-12


@pytest.mark.parametrize("with_bias", [True, False])
def test_keys_and_values_need_not_be_made_for_one_query(with_bias: bool) -> None:
    width, scoring = HEADS * WIDTH, Scoring(0.3)
    query, states = _states(len(LENGTHS)), _states(sum(LENGTHS), seed=1).flatten(1)
    layers = [torch.nn.Linear(width, width, bias=with_bias, dtype=torch.float64) for _ in range(2)]
    key, value = (layer(states).view(-1, HEADS, WIDTH) for layer in layers)
    expected = attend(query, key, value, LENGTHS, scoring, [1] * len(LENGTHS))
    key, value = (affine(layer.weight.t(), layer.bias) for layer in layers)
    found = mixed_unprojected(states, query, key, value, LENGTHS, scoring)
    assert (found - expected).abs().max() < 1e-12
    inputs = [query, states, *(value for layer in layers for value in layer.parameters())]
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs)
    gradients = torch.autograd.grad((found * weights).sum(), inputs)
    for one, other in zip(wanted, gradients, strict=True):
        assert (one - other).abs().max() < 1e-11


def test_dropout_drops_the_same_shares_of_values_and_of_their_bias() -> None:
    width, lengths, scoring = HEADS * WIDTH, [10, 3, 130, 9], Scoring(0.3, dropout=0.4)
    query, states = _states(len(lengths)), _states(sum(lengths), seed=1).flatten(1).detach().requires_grad_()
    key, value = (_states(width + 1, seed=seed).flatten(1).detach().requires_grad_() for seed in (2, 3))

    def mixed(*inputs: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)  # the same shares are dropped each time
        states, query, key, value = inputs
        return mixed_unprojected(states, query, key, value, lengths, scoring)

    assert torch.autograd.gradcheck(mixed, (states, query, key, value), fast_mode=True)
    undropped = mixed_unprojected(states, query, key, value, lengths, Scoring(0.3))
    assert not torch.allclose(mixed(states, query, key, value), undropped)
    only_bias = torch.cat([torch.zeros(width, width), torch.ones(1, width)]).double()
    torch.manual_seed(7)
    sums = mixed_unprojected(states, query, key, only_bias, lengths, scoring)
    assert not torch.allclose(sums, torch.ones_like(sums)), "the sum of the shares that were kept"


def test_the_gradient_of_dropout_is_that_of_what_was_dropped() -> None:
    lengths, scoring = [10, 3, 130, 9, 8], Scoring(0.3, dropout=0.4)
    states = [_states(sum(lengths), seed=seed) for seed in range(3)]

    def mixed(*inputs: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)  # the same values are dropped each time
        return attend(inputs[0], inputs[1], inputs[2], lengths, scoring)

    assert torch.autograd.gradcheck(mixed, states, fast_mode=True)
    undropped = attend(states[0], states[1], states[2], lengths, Scoring(0.3))
    assert not torch.allclose(mixed(*states), undropped)


def test_dropout_keeps_the_mean_of_attention() -> None:
    query, key = torch.zeros(64, 4, 2), torch.zeros(64, 4, 2)
    torch.manual_seed(0)
    value = torch.ones(64, 4, 2)
    means = [attend(query, key, value, [64], Scoring(1.0, dropout=0.5)).mean() for _ in range(50)]
    assert abs(float(torch.stack(means).mean()) - 1) < 0.03


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_mask_keeps_the_share_that_it_is_told(dropout: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    keep = Keep(dropout)
    mask = keep_mask((300, 1001), keep, torch.empty(0, dtype=dtype))
    assert mask.dtype == dtype
    assert torch.equal(mask, (mask != 0).to(dtype)), "ones and zeros"
    # four standard deviations of a share of 300,300
    near = 4 * (dropout * (1 - dropout) / 300_300) ** 0.5 + 1e-5
    assert abs(float(mask.double().mean()) - (1 - dropout)) <= near
    assert keep.scale == pytest.approx(1 / (1 - dropout), rel=0.01)


def test_masks_follow_torchs_seed_and_differ_between_draws() -> None:
    keep, like = Keep(0.5), torch.empty(0)
    torch.manual_seed(3)
    first, second = keep_mask((1000,), keep, like), keep_mask((1000,), keep, like)
    torch.manual_seed(3)
    assert torch.equal(first, keep_mask((1000,), keep, like))
    assert not torch.equal(first, second)


def test_dropping_is_what_the_module_would_do() -> None:
    module = torch.nn.Dropout(0.25)
    values, residual = torch.ones(400, 50), torch.full((400, 50), 10.0)
    dropped = drop(values, module)
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0, 4 / 3])
    added = add_dropped(values, residual, module)
    assert sorted(set(added.flatten().tolist())) == pytest.approx([10, 10 + 4 / 3])
    module.eval()
    assert drop(values, module) is values
    assert torch.equal(add_dropped(values, residual, module), residual + 1)
