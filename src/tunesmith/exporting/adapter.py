"""A run of LoRA -> an adapter for PEFT: what fine-tuning added to the base, and the head.

A bundle holds merged weights. What was added to each layer is their difference from the base's: a product of
two thin matrices, which its singular value decomposition gives back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.bundle import Bundle
from tunesmith.errors import ConfigError, ExportError, Problem
from tunesmith.model.bases import adapted, read_base
from tunesmith.model.layers import is_transposed, linear_layers
from tunesmith.model.load import HEADS
from tunesmith.predict import Predictor
from tunesmith.training.qlora import refuse_without_peft

if TYPE_CHECKING:
    import torch

    from tunesmith.model.adapter import Matrices

__all__ = ["refuse_adapter", "write_adapter"]

_SPARE_DIRECTIONS, _POWER_ITERATIONS = 8, 2


def refuse_adapter(bundle: Bundle) -> None:
    """Raise ConfigError where the run has learned more than an adapter, BaseError where PEFT is missing."""
    recipe = bundle.recipe
    if recipe.method != "lora" or recipe.adapt is not None:
        why = f"`method: {recipe.method}`" if recipe.method != "lora" else "`adapt`"
        what = f"there is no adapter: {why} changes the base itself"
        fix = "export it `--to merged`, or train with `--method lora` and without `adapt`"
        raise ConfigError(Problem("no-adapter", what, str(bundle.path), fix))
    refuse_without_peft()


def write_adapter(directory: Path, bundle: Bundle, source: Predictor) -> Predictor:
    """Write the adapter, and return what answers with the base and it, read back."""
    from peft import LoraConfig, TaskType

    from tunesmith.model.adapter import write_adapter_weights

    base, recipe = read_base(bundle.recipe, bundle.task), bundle.recipe
    tuned, rank = source.classifier.model, recipe.lora_rank
    targets = _changed(base.model, tuned)
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=rank,
        lora_alpha=rank,  # nothing is scaled: the matrices hold the whole difference
        target_modules=targets,
        modules_to_save=["score"],
        fan_in_fan_out=is_transposed(base.model.get_submodule(targets[0])),
        base_model_name_or_path=recipe.base,
        inference_mode=True,
    )
    config.save_pretrained(str(directory))
    added = {
        name: _added(base.model.get_submodule(name), tuned.get_submodule(name), rank) for name in targets
    }
    write_adapter_weights(directory, added, tuned.score)
    classifier = adapted(base, directory, source.classifier, bundle.task)
    return Predictor(classifier, source.max_tokens, source.micro_batch_tokens, source.thresholds)


def _changed(base: Any, tuned: Any) -> list[str]:
    """The linear layers that differ from the base's; raises ExportError where anything else does."""
    before, after = base.state_dict(), tuned.state_dict()
    changed = [
        name
        for name, value in after.items()
        if not name.startswith(HEADS) and (name not in before or not value.equal(before[name]))
    ]
    layers = linear_layers(base)
    others = [name for name in changed if name.removesuffix(".weight") not in layers]
    if others or not changed:
        what = f"the base is not the one that was fine-tuned: {', '.join(others[:3]) or 'nothing'} differs"
        fix = "use the base of the run, as it was then; or export it `--to merged`"
        raise ExportError(Problem("another-base", what, "the base", fix))
    return [name.removesuffix(".weight") for name in changed]


def _added(base: Any, tuned: Any, rank: int) -> Matrices:
    """(rank, inputs) and (outputs, rank): the difference between a tuned layer's weight and the base's."""
    difference = (tuned.weight - base.weight).detach().double()
    if is_transposed(tuned):
        difference = difference.T
    left, strength, right = _leading(difference, rank)
    root = strength.sqrt()
    return (root[:, None] * right).float(), (left * root).float()


def _leading(matrix: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The leading singular vectors and values: (rows, rank), (rank,) and (rank, columns).

    All of them would take minutes for a large model. What was added has no more than `rank` that are above
    the rounding of the weights, so that a random subspace finds them (Halko, Martinsson, Tropp 2011).
    """
    import torch

    rows, columns = matrix.shape
    width = min(rank + _SPARE_DIRECTIONS, rows, columns)
    drawn = torch.randn(columns, width, dtype=matrix.dtype, generator=torch.Generator().manual_seed(0))
    found = torch.linalg.qr(matrix @ drawn).Q
    for _ in range(_POWER_ITERATIONS):
        found = torch.linalg.qr(matrix @ (matrix.T @ found)).Q
    left, strength, right = torch.linalg.svd(found.T @ matrix, full_matrices=False)
    return found @ left[:, :rank], strength[:rank], right[:rank]
