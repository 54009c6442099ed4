"""A base's name or path -> a language model, ready to learn what to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunesmith.errors import BaseError, Problem
from tunesmith.model.learner import Learner, load_learner, refuse_missing
from tunesmith.model.load import HEADS

__all__ = ["Generator", "load_generator"]


@dataclass(frozen=True, slots=True)
class Generator(Learner):
    """A causal language model and its tokenizer, which has a chat template."""


def load_generator(
    base: str,
    *,
    revision: str | None = None,
    seed: int = 0,
    dropout: float | None = None,
    quantization: Any = None,
) -> Generator:
    """Load `base` with its head that writes, a pad token and a chat template, the default where it has none.

    Raises BaseError: not found, unsafe weights, or `no-language-head` where it cannot write.
    """
    from transformers import AutoModelForCausalLM

    learner, loading = load_learner(
        AutoModelForCausalLM,
        base,
        prepare=lambda config: _refuse_other_architectures(config, base),
        revision=revision,
        seed=seed,
        dropout=dropout,
        quantization=quantization,
    )
    model = learner.model
    if any(name.startswith(HEADS) for name in loading.unexpected):
        raise _headless("it is a classifier: its head gives labels", base)
    if loading.missing & _head_names(model):
        raise _headless("its weights have none", base)
    refuse_missing(loading.missing, base)
    if _looks_ahead(model):
        raise _headless(
            "its tokens see those that follow, which are not there yet when text is written", base
        )
    return Generator(learner.tokenizer, learner.window, model)


def _refuse_other_architectures(config: Any, base: str) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise _headless(f"transformers knows none for {config.model_type}", base)


def _headless(why: str, base: str) -> BaseError:
    what = f"the base has no head that writes text from left to right: {why}"
    fix = "use a causal language model, such as GPT-2, GPT-Neo, GPT-NeoX, Llama or Qwen, or `embedded`"
    return BaseError(Problem("no-language-head", what, base, fix))


def _head_names(model: Any) -> set[str]:
    """The full names of the head's own weights."""
    head = model.get_output_embeddings()
    return {
        f"{name}.{weight}"
        for name, module in model.named_modules()
        if module is head
        for weight, _ in module.named_parameters()
    }


def _looks_ahead(model: Any) -> bool:
    """Whether what follows a token changes what is made of it."""
    import torch

    ids = torch.tensor([[0, 0], [0, model.config.get_text_config().vocab_size - 1]], device=model.device)
    with torch.inference_mode():
        first, second = model(input_ids=ids, use_cache=False).logits[:, 0].double()
    return not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * float(first.abs().max()))
