"""What LoRA added to a base, kept apart from it: many adapters answer on one base's weights.

The files are PEFT's: `adapter_config.json` and `adapter_model.safetensors`, in which each layer has two thin
matrices and the head stands whole. Nothing is scaled: the product of the two is all that was added.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

__all__ = ["AdaptedLinear", "Matrices", "adapt", "read_adapter", "write_adapter_weights"]

Matrices = tuple[torch.Tensor, torch.Tensor]
"""(rank, inputs) and (outputs, rank): what `AdaptedLinear` takes"""

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_HEAD = "score."


class AdaptedLinear(torch.nn.Module):
    """A linear layer of the base, and beside it the two matrices that an adapter adds."""

    def __init__(self, layer: Any, down: torch.Tensor, up: torch.Tensor) -> None:
        """`down` is (rank, inputs), `up` (outputs, rank), however the layer's own weight stands."""
        super().__init__()
        self.layer = layer
        self.down = torch.nn.Parameter(down, requires_grad=False)
        self.up = torch.nn.Parameter(up, requires_grad=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(…, inputs) -> (…, outputs)."""
        added = torch.nn.functional.linear(torch.nn.functional.linear(states, self.down), self.up)
        answer: torch.Tensor = self.layer(states) + added
        return answer


def write_adapter_weights(directory: Path, added: Mapping[str, Matrices], head: Any) -> None:
    """Write what was added to each layer of that name, and the head."""
    weights = {_HEAD + name: value for name, value in head.state_dict().items()}
    for layer, (down, up) in added.items():
        weights |= {layer + _DOWN: down, layer + _UP: up}
    named = {_PREFIX + name: value.contiguous() for name, value in weights.items()}
    save_file(named, directory / _WEIGHTS, metadata={"format": "pt"})


def read_adapter(directory: Path) -> dict[str, torch.Tensor]:
    """The weights that `write_adapter_weights` wrote, by the names that they have in the model."""
    return {name.removeprefix(_PREFIX): value for name, value in load_file(directory / _WEIGHTS).items()}


def adapt(base: Any, weights: Mapping[str, torch.Tensor]) -> Any:
    """A model that answers as `base` with an adapter; both hold the same weights, and `base` is as it was.

    `weights` as `read_adapter` gives them.
    """
    # modules are copied, weights are not
    model = copy.deepcopy(base, {id(held): held for held in (*base.parameters(), *base.buffers())})
    for name in weights:
        if name.endswith(_DOWN):
            layer = name.removesuffix(_DOWN)
            adapted = AdaptedLinear(model.get_submodule(layer), weights[name], weights[layer + _UP])
            model.set_submodule(layer, adapted)
    model.score = _head(weights)
    return model.eval()


def _head(weights: Mapping[str, torch.Tensor]) -> torch.nn.Linear:
    state = {name.removeprefix(_HEAD): value for name, value in weights.items() if name.startswith(_HEAD)}
    labels, width = state["weight"].shape
    head = torch.nn.Linear(width, labels, bias="bias" in state)
    head.load_state_dict(state)
    return head
