"""Newton's method finds the one minimum, however the features lie."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tunesmith.training.newton import Penalised

ROWS, WIDTH, LABELS = 40, 12, 3


def _problem(strength: float, *, told_apart: bool = False, several: bool = False) -> Penalised:
    chance = torch.Generator().manual_seed(0)
    # most of what there is all rows have in common, and the rest is of several sizes
    features = torch.randn(ROWS, WIDTH, generator=chance, dtype=torch.float64) * torch.logspace(0, -3, WIDTH)
    ids = torch.arange(ROWS) % LABELS
    if told_apart:
        features[torch.arange(ROWS), ids] += 5
    features += 10
    if several:
        wanted = torch.randint(0, 2, (ROWS, LABELS), generator=chance).double()
        return Penalised(features, lambda x: binary_cross_entropy_with_logits(x, wanted), strength)
    return Penalised(features, lambda x: cross_entropy(x, ids), strength)


@pytest.mark.parametrize("strength", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("kind", [{}, {"told_apart": True}, {"several": True}], ids=str)
def test_the_slope_at_the_minimum_is_nothing(strength: float, kind: dict[str, bool]) -> None:
    problem = _problem(strength, **kind)
    start = torch.zeros(LABELS, WIDTH, dtype=torch.float64)
    weight = problem.minimum(start).requires_grad_()
    loss = problem.mean_loss(problem.features @ weight.T) + strength / 2 * weight.square().sum()
    [slope] = torch.autograd.grad(loss, weight)
    assert float(slope.abs().max()) < 1e-6
    assert float(loss.detach()) == pytest.approx(problem.value(weight.detach()))
    assert float(loss.detach()) < problem.value(start)


def test_it_does_not_matter_where_one_begins() -> None:
    problem = _problem(1e-3)
    zeros = torch.zeros(LABELS, WIDTH, dtype=torch.float64)
    far = torch.full((LABELS, WIDTH), 7.0, dtype=torch.float64)
    far[0] *= -1
    assert torch.allclose(problem.minimum(zeros), problem.minimum(far), atol=1e-5)


def test_who_is_there_stays() -> None:
    problem = _problem(1e-2)
    weight = problem.minimum(torch.zeros(LABELS, WIDTH, dtype=torch.float64))
    assert torch.allclose(problem.minimum(weight), weight, atol=1e-8)
