"""A base's name or path -> a language model, ready to learn what to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunesmith.data.chat import ASSISTANT
from tunesmith.data.render import Segment, render
from tunesmith.data.template import Template
from tunesmith.errors import BaseError, Problem
from tunesmith.model.encode import Ids
from tunesmith.model.learner import Learner, load_learner, refuse_missing
from tunesmith.model.load import HEADS
from tunesmith.model.targets import encode_segments, template_of
from tunesmith.model.token_bytes import special_ids

__all__ = ["Generator", "answer_ids", "load_generator"]

# it stands in no template
_PROBE = "Xyzzy"
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Generator(Learner):
    """A causal language model and its tokenizer, which has a chat template."""

    @property
    def template(self) -> Template:
        """How a conversation is written down for the model."""
        return template_of(self.tokenizer)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer."""
        ends: int | list[int] = self.model.generation_config.eos_token_id
        return tuple(ends) if isinstance(ends, list) else (ends,)


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
    learner.tokenizer.chat_template = template_of(learner.tokenizer).source
    _write_plainly(model, learner.tokenizer)
    return Generator(learner.tokenizer, learner.window, model)


def _write_plainly(model: Any, tokenizer: Any) -> None:
    """Let the model write its likeliest answer to the end of a turn, in transformers' own pipeline too.

    What a base says of sampling was chosen for other answers than those that it is about to learn.
    """
    from transformers import GenerationConfig

    model.config.use_cache = True
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_end_ids(tokenizer, model.generation_config.eos_token_id),
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        use_cache=True,
    )


def _end_ids(tokenizer: Any, of_base: int | list[int] | None) -> list[int]:
    """The end of text, what the base ends with, and what special token the template puts after answers."""
    after = "".join(segment.text for segment in _answer(tokenizer, _PROBE)).rpartition(_PROBE)[2]
    special = special_ids(tokenizer)
    of_turn = [token for token in tokenizer(after, add_special_tokens=False)["input_ids"] if token in special]
    known = of_base if isinstance(of_base, list) else [of_base]
    return [
        token for token in dict.fromkeys([tokenizer.eos_token_id, *known, *of_turn[:1]]) if token is not None
    ]


def answer_ids(tokenizer: Any, answer: str) -> Ids:
    """The tokens that learning lays after a prompt for this answer, the end of the turn included."""
    return encode_segments(tokenizer, [_answer(tokenizer, answer)], _NO_LIMIT).encoded[0]


def _answer(tokenizer: Any, answer: str) -> list[Segment]:
    messages = [{"role": "user", "content": _PROBE}, {"role": ASSISTANT, "content": answer}]
    return [segment for segment in render(messages, template_of(tokenizer)) if segment.learned]


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
        answer = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    first, second = answer.logits[:, 0].double()
    return not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * float(first.abs().max()))
