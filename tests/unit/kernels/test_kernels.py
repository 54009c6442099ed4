from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.kernels import need_kernels, turn_off
from tunesmith.kernels.attention import can_attend
from tunesmith.kernels.library import kernels_for
from tunesmith.kernels.pointwise import add_dropped_natively, gelu_natively
from tunesmith.model.attention import attend, attend_fused
from tunesmith.model.dropout import add_dropped
from tunesmith.model.faster import activated
from tunesmith.model.layers import product
from tunesmith.model.scoring import Scoring

LENGTHS = [1, 5, 110, 6, 127, 16, 129, 300, 7]
# in fp32, beside numbers of about one
NEAR = 2e-5


@pytest.fixture(autouse=True)
def kernels() -> None:
    need_kernels()


def _states(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def _gradients(result: torch.Tensor, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result)
    return torch.autograd.grad((result * weights).sum(), inputs)


@pytest.mark.parametrize("window", [None, 1, 40, 200])
@pytest.mark.parametrize(("heads", "key_heads", "width"), [(4, 4, 64), (6, 2, 16), (3, 1, 48), (1, 1, 256)])
@pytest.mark.parametrize("some", [False, True])
def test_attention_is_torchs_in_fp32(
    window: int | None, heads: int, key_heads: int, width: int, some: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [max(1, length // 3) for length in LENGTHS] if some else LENGTHS
    query = _states(sum(queries), heads, width, seed=0)
    key, value = (_states(sum(LENGTHS), key_heads, width, seed=seed) for seed in (1, 2))
    scoring = Scoring(width**-0.5, window=window)
    assert can_attend(query, width)
    found = attend(query, key, value, LENGTHS, scoring, queries)
    gradients = _gradients(found, query, key, value)
    turn_off(monkeypatch)
    assert not can_attend(query, width)
    expected = attend(query, key, value, LENGTHS, scoring, queries)
    assert (found - expected).abs().max() < NEAR
    for one, other in zip(gradients, _gradients(expected, query, key, value), strict=True):
        assert (one - other).abs().max() < NEAR * max(1, float(other.abs().max()))


@pytest.mark.parametrize("way", ["kernels", "torch"])
def test_states_side_by_side_are_attended_as_three(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "torch":
        turn_off(monkeypatch)
    fused, scoring = _states(sum(LENGTHS), 3 * 128, seed=3, dtype=torch.float64), Scoring(0.2)
    query, key, value = (part.view(-1, 2, 64) for part in fused.chunk(3, dim=1))
    expected = attend(query, key, value, LENGTHS, scoring)
    found = attend_fused(fused, 2, LENGTHS, scoring)
    assert torch.equal(found, expected)
    assert torch.equal(_gradients(found, fused)[0], _gradients(expected, fused)[0])


def test_a_text_is_answered_alike_in_whatever_company() -> None:
    fused, scoring = _states(sum(LENGTHS), 3 * 64, seed=4).detach(), Scoring(0.2)
    together = attend_fused(fused, 1, LENGTHS, scoring)
    alone = [attend_fused(text, 1, [len(text)], scoring) for text in torch.split(fused, LENGTHS)]
    assert torch.equal(together, torch.cat(alone))


def test_as_many_threads_as_there_are_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values, bias, residual = _states(500, 70, seed=5), _states(70, seed=6), _states(500, 70, seed=7)
    fused = _states(sum(LENGTHS), 3 * 64, seed=8)

    def computed() -> list[torch.Tensor]:
        torch.manual_seed(1)
        results = attend_fused(fused, 2, LENGTHS, Scoring(0.2, dropout=0.3)), gelu_natively(values, bias)
        added = add_dropped_natively(values, bias, residual, 50_000)
        gradients = [
            *_gradients(results[0], fused),
            *_gradients(results[1], values, bias),
            *_gradients(added, values, bias),
        ]
        return [*results, added, *gradients]

    alone, threads = computed(), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = computed()
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 7, 16, 70])
@pytest.mark.parametrize("biased", [True, False])
def test_gelu_is_torchs(dtype: torch.dtype, width: int, biased: bool) -> None:
    near = 1e-13 if dtype == torch.float64 else 4e-6
    values = torch.cat([torch.linspace(-40, 40, 33 * width), torch.tensor([0.0] * width)]).to(dtype)
    values = values.view(-1, width).requires_grad_()
    bias = _states(width, seed=9, dtype=dtype) if biased else None
    inputs = (values,) if bias is None else (values, bias)
    module = torch.nn.GELU(approximate="tanh")
    found, expected = activated(values, bias, module), module(values if bias is None else values + bias)
    assert (found - expected).abs().max() < near
    for one, other in zip(_gradients(found, *inputs), _gradients(expected, *inputs), strict=True):
        assert (one - other).abs().max() < near * 10


def test_what_is_no_number_stays_none() -> None:
    nothing, huge = float("nan"), float("inf")
    values = torch.tensor([[nothing, huge, -huge, 1.0]])
    found = gelu_natively(values, None)[0]
    assert found.isfinite().tolist() == [False, False, False, True]
    for bad in (nothing, huge):
        fused = torch.ones(5, 3 * 16)
        fused[1, 16] = bad  # a key
        mixed = attend_fused(fused, 1, [5], Scoring(1.0))
        assert not mixed[1:].isfinite().any(), "whoever sees it"
        assert mixed[0].isfinite().all()


def test_dropout_draws_anew_follows_torchs_seed_and_keeps_its_share() -> None:
    values, residual = torch.ones(1001, 300), torch.full((1001, 300), 10.0)
    torch.manual_seed(3)
    module = torch.nn.Dropout(0.25)
    first, second = add_dropped(values, residual, module) - 10, add_dropped(values, residual, module) - 10
    torch.manual_seed(3)
    assert torch.equal(first, add_dropped(values, residual, module) - 10)
    assert not torch.equal(first, second)
    assert sorted(set(first.flatten().tolist())) == pytest.approx([0, 4 / 3], rel=1e-5)
    kept = first > 0
    # four standard deviations of a share of 300,300; and of pairs of neighbours, rows and draws
    near = 4 * (0.25 * 0.75 / 300_300) ** 0.5
    assert abs(float(kept.double().mean()) - 0.75) < near
    for one, other in ((kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1]), (kept, second > 0)):
        assert abs(float((one & other).double().mean()) - 0.75**2) < 2 * near


def test_the_gradients_of_dropout_are_of_what_was_kept() -> None:
    values, residual = (_states(50, 33, seed=seed, dtype=torch.float64) for seed in (1, 2))
    bias = _states(33, seed=3, dtype=torch.float64)

    def added(*inputs: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)  # the same values are dropped each time
        return add_dropped_natively(inputs[0], inputs[1], inputs[2], 40_000)

    assert torch.autograd.gradcheck(added, (values, bias, residual), fast_mode=True)
    assert not torch.allclose(added(values, bias, residual), values + bias + residual)


def test_attention_drops_shares_as_often_as_it_is_told() -> None:
    lengths = [64] * 40
    query = key = torch.zeros(sum(lengths), 4, 64)
    # what each query gets of each key
    value = torch.eye(64).repeat(40, 1)[:, None].expand(-1, 4, -1).contiguous()
    torch.manual_seed(0)
    shares = attend(query, key, value, lengths, Scoring(1.0, dropout=0.3)).view(40, 64, 4, 64)
    seen = torch.ones(64, 64).tril().bool()[None, :, None].expand_as(shares)
    kept = (shares > 0)[seen].double()
    assert abs(float(kept.mean()) - 0.7) < 4 * (0.21 / len(kept)) ** 0.5
    assert not shares[~seen].any()
    counted = torch.arange(1, 65)[None, :, None, None].expand_as(shares)[seen]
    assert torch.allclose((shares[seen] * counted)[kept > 0], torch.tensor(1 / 0.7), rtol=1e-4)


def test_a_plain_layers_bias_is_left_to_what_follows() -> None:
    states, layer = _states(5, 8, seed=0), torch.nn.Linear(8, 3)
    values, bias = product(layer, states)
    assert bias is layer.bias
    assert torch.allclose(values + bias, layer(states), atol=1e-6)
    hooked = torch.nn.Linear(8, 3)
    hooked.register_forward_hook(lambda *_: None)
    for other in (hooked, torch.nn.Linear(8, 3, bias=False), torch.nn.Sequential(layer)):
        values, bias = product(other, states)
        assert bias is None
        assert torch.equal(values, other(states))


@pytest.mark.parametrize("wrong", ["half", "autocast", "compiled", "meta"])
def test_other_numbers_are_left_to_torch(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    states = torch.ones(4, 16)
    assert kernels_for(states) is not None
    match wrong:
        case "half":
            assert kernels_for(states.half()) is None
        case "autocast":
            with torch.autocast("cpu", torch.bfloat16):
                assert kernels_for(states) is None
        case "compiled":
            monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
            assert kernels_for(states) is None
        case _:
            assert kernels_for(states.to("meta")) is None
    assert not can_attend(states, 12), "a head whose width fills no vectors"


def test_long_texts_of_several_kinds_fit_together() -> None:
    generator = np.random.default_rng(0)
    lengths = [int(length) for length in generator.integers(1, 700, 9)]
    fused = _states(sum(lengths), 3 * 32, seed=5, dtype=torch.float64)

    def mixed(states: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        return attend_fused(states, 2, lengths, Scoring(0.3, dropout=0.4, window=90))

    assert torch.autograd.gradcheck(mixed, (fused,), fast_mode=True)
