"""A run of LoRA -> an adapter for PEFT: what fine-tuning added to the base, and the head.

A bundle holds merged weights. What was added to each layer is their difference from the base's: a product of
two thin matrices, which its singular value decomposition gives back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.bundle import Bundle
from tunesmith.errors import ConfigError, ExportError, Problem
from tunesmith.files import write_text
from tunesmith.model.base import quiet_transformers
from tunesmith.model.layers import is_transposed, linear_layers
from tunesmith.model.load import HEADS, Classifier, load_classifier
from tunesmith.predict import Predictor
from tunesmith.training.qlora import refuse_without_peft

__all__ = ["refuse_adapter", "write_adapter"]


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
    import torch
    from peft import LoraConfig, PeftModel, TaskType, get_peft_model

    base, recipe = _base(bundle), bundle.recipe
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
    )
    with torch.no_grad(), _without_warnings():
        wrapped: Any = get_peft_model(base.model, config)
        adapted = wrapped.get_base_model()
        for name in targets:
            _set(adapted.get_submodule(name), tuned.get_submodule(name), rank)
        adapted.score.modules_to_save["default"].load_state_dict(tuned.score.state_dict())
    with quiet_transformers():
        wrapped.save_pretrained(str(directory))
        source.classifier.tokenizer.save_pretrained(directory)
    write_text(directory / "README.md", (bundle.path / "README.md").read_text("utf-8"))
    fresh = _base(bundle)
    with _without_warnings():
        model = PeftModel.from_pretrained(fresh.model, str(directory)).merge_and_unload()
    classifier = Classifier(fresh.tokenizer, fresh.window, model, fresh.labels, fresh.kind)
    return Predictor(classifier, source.max_tokens, source.micro_batch_tokens, source.thresholds)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """PEFT still asks transformers by names that transformers warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _base(bundle: Bundle) -> Classifier:
    recipe, task = bundle.recipe, bundle.task
    return load_classifier(
        recipe.base, task.labels, kind=task.kind, revision=recipe.revision, seed=recipe.seed
    )


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


def _set(adapted: Any, tuned: Any, rank: int) -> None:
    """Give a layer's two matrices the difference between the tuned weight and the base's."""
    import torch

    difference = (tuned.weight - adapted.base_layer.weight).double()
    if is_transposed(tuned):
        difference = difference.T
    left, strength, right = torch.linalg.svd(difference, full_matrices=False)
    root = strength[:rank].sqrt()
    adapted.lora_B["default"].weight.copy_(left[:, :rank] * root)
    adapted.lora_A["default"].weight.copy_(root[:, None] * right[:rank])
