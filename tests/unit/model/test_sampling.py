from __future__ import annotations

import numpy as np
import pytest
import torch

from tunesmith.model import sampling
from tunesmith.model.sampling import draw

ROWS, VOCABULARY = 48, 3000


def _draw(logits: torch.Tensor, temperature: float, top_p: float) -> list[int]:
    count = len(logits)
    randoms = [np.random.default_rng(row) for row in range(count)]
    return draw(logits, [temperature] * count, [top_p] * count, randoms)


@pytest.mark.parametrize("spread", [0.5, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("top_p", [1.0, 0.95, 0.3, 1e-9])
@pytest.mark.parametrize("temperature", [1e-9, 0.7, 2.0])
def test_looking_at_the_likeliest_first_changes_no_token(
    spread: float, dtype: torch.dtype, top_p: float, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 16 bits many tokens are equally likely, and with a small spread most draws fall behind the first."""
    logits = torch.randn((ROWS, VOCABULARY), generator=torch.Generator().manual_seed(3)).mul(spread).to(dtype)
    logits[:, ::7] = -torch.inf
    quick = _draw(logits, temperature, top_p)
    monkeypatch.setattr(sampling, "_FIRST", VOCABULARY)
    assert _draw(logits, temperature, top_p) == quick


def test_tokens_come_as_often_as_they_are_likely() -> None:
    shares = torch.cat([torch.tensor([0.5, 0.3, 0.15]), torch.full((2000,), 0.05 / 2000)])
    logits = shares.log().expand(1500, -1)
    found = np.bincount(np.minimum(_draw(logits, 1.0, 1.0), 3), minlength=4) / 1500
    assert np.allclose(found, [0.5, 0.3, 0.15, 0.05], atol=0.05)
    found = np.bincount(_draw(logits, 1.0, 0.75), minlength=4) / 1500
    assert np.allclose(found, [0.5 / 0.8, 0.3 / 0.8, 0, 0], atol=0.05)


def test_only_rows_with_a_temperature_take_a_number() -> None:
    randoms = [np.random.default_rng(row) for row in range(2)]
    draw(torch.zeros(2, 10), [0.0, 1.0], [1.0, 1.0], randoms)
    assert randoms[0].random() == np.random.default_rng(0).random()
    assert randoms[1].random() == np.random.default_rng(1).random(2)[1]
