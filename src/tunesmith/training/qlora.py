"""QLoRA: a base in 4 bits under adapters in full precision; the model that remains is a plain one again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

from tunesmith.errors import BaseError, Problem
from tunesmith.model.layers import is_transposed
from tunesmith.recipe import Recipe
from tunesmith.training.precision import dtype_of

__all__ = ["has_gpu", "quantization", "refuse_without_peft", "refuse_without_qlora", "whole_model"]


def has_gpu() -> bool:
    """Whether torch sees a CUDA GPU."""
    import torch

    return torch.cuda.is_available()


def _is_installed(name: str) -> bool:
    return find_spec(name) is not None


def refuse_without_peft(is_installed: Callable[[str], bool] = _is_installed) -> None:
    """Raise BaseError where adapters cannot be made."""
    if not is_installed("peft"):
        what = "adapters need the package peft, which is not installed"
        fix = "install it: pip install 'tunesmith[lora]'; or use `method: full`"
        raise BaseError(Problem("lora-extra", what, "this Python", fix))


def refuse_without_qlora(
    sees_gpu: Callable[[], bool] = has_gpu, is_installed: Callable[[str], bool] = _is_installed
) -> None:
    """Raise BaseError where a base cannot be held in 4 bits, with every reason."""
    reasons = [] if sees_gpu() else ["torch sees no CUDA GPU here"]
    reasons += [
        f"the package {name} is not installed" for name in ("bitsandbytes", "peft") if not is_installed(name)
    ]
    if reasons:
        fix = "use `method: lora`, which runs anywhere"
        if sees_gpu():
            fix = f"install what it needs: pip install 'tunesmith[qlora]'; or {fix}"
        raise BaseError(Problem("qlora-unavailable", " and ".join(reasons), "`method: qlora`", fix))


def quantization(recipe: Recipe) -> Any:
    """How transformers loads the base: the blocks' linear layers in 4 bits (NF4), the head as it is."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype_of(recipe.precision),
        llm_int8_skip_modules=["score", "lm_head", "embed_out"],
    )


def whole_model(model: Any) -> Any:
    """A plain model of fp32 weights with what the 4 bits and the adapters of `model` stand for together.

    The weights are those that were trained on, not the base's before it was cut to 4 bits: what was
    learned makes up for their error, and would not fit the others.
    """
    import torch

    config = deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(model)(config)
    with torch.no_grad():
        for name, module in plain.named_modules():
            _copy(module, model.get_submodule(name))
    if hasattr(model, "generation_config"):
        plain.generation_config = model.generation_config
    return plain.to(model.device).eval()


def _copy(plain: Any, source: Any) -> None:
    """Fill a module's own parameters and buffers."""
    base = source.get_base_layer() if hasattr(source, "get_base_layer") else source
    for name, buffer in plain.named_buffers(recurse=False):
        buffer.copy_(getattr(base, name))
    for name, parameter in plain.named_parameters(recurse=False):
        value = _full(getattr(base, name))
        if name == "weight" and base is not source:
            value = value + source.get_delta_weight("default").float()
        # bitsandbytes holds GPT-2's transposed layers the other way round
        is_turned = name == "weight" and hasattr(base, "compute_dtype") and is_transposed(plain)
        parameter.copy_(value.T if is_turned else value)


def _full(parameter: Any) -> Any:
    from peft.utils.integrations import dequantize_bnb_weight

    if hasattr(parameter, "quant_state"):
        return dequantize_bnb_weight(parameter).float()
    return parameter.float()
