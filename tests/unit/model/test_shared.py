"""Equal weights are held once, and only they."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import torch

from tunesmith.model.shared import SharedWeights


class Tied(torch.nn.Module):
    def __init__(self, seed: int, head: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = torch.nn.Embedding(50, 8)
        self.body = torch.nn.Linear(8, 8)
        self.out = torch.nn.Linear(8, 50, bias=False)
        self.out.weight = self.words.weight
        torch.manual_seed(head)
        self.score = torch.nn.Linear(8, 3, bias=False)


def held_bytes(models: Sequence[torch.nn.Module]) -> int:
    storages = {
        weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes()
        for model in models
        for weight in model.parameters()
    }
    return sum(storages.values())


def test_what_differs_stays_apart_and_what_is_equal_is_held_once() -> None:
    weights = SharedWeights()
    first, second = Tied(1, head=2), Tied(1, head=3)
    own = weakref.ref(second.body.weight)
    heads = [model.score.weight.clone() for model in (first, second)]
    body = held_bytes([first]) - held_bytes([first.score])
    assert weights.share(first) == 0
    # told by both of its names
    assert weights.share(second) == body + first.words.weight.nbytes
    assert held_bytes([first, second]) == body + 2 * held_bytes([first.score])
    assert second.out.weight is second.words.weight is first.words.weight
    for model, head in zip((first, second), heads, strict=True):
        assert torch.equal(model.score.weight, head)
    gc.collect()
    assert own() is None


def test_another_type_is_another_weight() -> None:
    weights = SharedWeights()
    zeros = [torch.nn.Linear(4, 4, bias=False, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]
    for layer in zeros:
        torch.nn.init.zeros_(layer.weight)
    assert [weights.share(layer) for layer in zeros] == [0, 0]


def test_weights_live_as_long_as_any_of_their_models() -> None:
    weights = SharedWeights()
    first, second = Tied(1, head=2), Tied(1, head=3)
    weights.share(first)
    weights.share(second)
    kept = first.body.weight.data_ptr()
    del first
    gc.collect()
    third = Tied(1, head=4)
    assert weights.share(third) > 0
    assert third.body.weight.data_ptr() == second.body.weight.data_ptr() == kept
    gone = weakref.ref(second.body.weight)
    del second, third
    gc.collect()
    assert gone() is None
