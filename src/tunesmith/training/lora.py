"""LoRA through PEFT: small matrices beside the linear layers learn, and are added to them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.layers import is_transposed, linear_layers
from tunesmith.recipe import Recipe

__all__ = ["add_adapters", "merge_adapters", "refuse_targets"]


def refuse_targets(model: Any, targets: Sequence[str]) -> None:
    """Raise ConfigError with every target that names no linear layer of the blocks."""
    names = linear_layers(model)
    ends = sorted({name.rpartition(".")[2] for name in names})
    absent = [target for target in targets if not any(_is_named(name, target) for name in names)]
    if absent or not names:
        what = f"no linear layer of the blocks is called {', '.join(absent) or 'anything'}"
        fix = f"the layers are: {', '.join(ends)}" if ends else "use `method: full`"
        raise ConfigError(Problem("no-such-layer", what, "`lora_targets` of the recipe", fix))


def _is_named(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def add_adapters(model: Any, recipe: Recipe) -> Any:
    """Put adapters into `model`, in place; they and a classifier's head train, all else does not.

    Their first weights are drawn from the recipe's seed. Returns what `merge_adapters` needs.
    """
    import torch
    from peft import LoraConfig, LoraModel

    assert recipe.lora_targets is not None
    assert recipe.lora_alpha is not None
    names = [
        name
        for name in linear_layers(model)
        if any(_is_named(name, target) for target in recipe.lora_targets)
    ]
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=names,
        fan_in_fan_out=is_transposed(model.get_submodule(names[0])),
    )
    torch.manual_seed(recipe.seed)
    adapters = LoraModel(model, config, "default")
    if hasattr(model, "score"):
        model.score.requires_grad_(True)
    return adapters


def merge_adapters(adapters: Any) -> None:
    """Add the adapters to the weights that they stand beside, in place: a plain model remains."""
    model = adapters.merge_and_unload()
    model.requires_grad_(True)
