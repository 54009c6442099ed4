"""A base -> a model that can be trained, of whatever class the task wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import BaseError, Problem
from tunesmith.model.base import (
    Reader,
    base_errors,
    base_location,
    load_config,
    load_tokenizer,
    loading_options,
    quiet_transformers,
    window_of,
)
from tunesmith.model.faster import use_fast_modules

__all__ = ["FP32_BYTES", "Learner", "Loading", "bytes_needed", "dropout_of", "load_learner", "refuse_missing"]

_DROPOUT_KEYS = (
    "attn_pdrop",
    "attention_dropout",
    "classifier_dropout",
    "embd_pdrop",
    "embed_dropout",
    "hidden_dropout",
    "resid_dropout",
    "resid_pdrop",
)
FP32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Loading:
    """How the weights of a base fit the model that was made of it, by their names."""

    missing: set[str]
    """Weights that the base lacks, or has in another shape"""
    unexpected: set[str]
    """Weights of the base that the model has no place for"""


@dataclass(frozen=True, slots=True)
class Learner(Reader):
    """A model that can be trained, with its tokenizer, which pads on the right."""

    model: Any

    @property
    def parameters(self) -> int:
        """How many numbers the model holds."""
        return int(self.model.num_parameters())

    @property
    def size_bytes(self) -> int:
        """What model and tokenizer take on disk, in 32 bits."""
        tokenizer: str = self.tokenizer.backend_tokenizer.to_str()
        return FP32_BYTES * self.parameters + len(tokenizer.encode())


def load_learner(
    auto_class: Any,
    base: str,
    *,
    prepare: Callable[[Any], None],
    revision: str | None,
    seed: int,
    dropout: float | None,
    quantization: Any,
) -> tuple[Learner, Loading]:
    """Load a model of one of transformers' Auto classes; what the base lacks is drawn from `seed`, and told.

    `prepare` is given the config before the model is made. Raises BaseError: not found, unsafe weights, no
    such model in transformers.
    """
    import torch

    location = base_location(base)
    options = loading_options(location, revision)
    torch.manual_seed(seed)
    with quiet_transformers(), base_errors(base):
        tokenizer = load_tokenizer(location, options)
        config = load_config(location, options)
        _refuse_foreign_tokenizer(tokenizer, config, base)
        _set_dropout(config, dropout)
        prepare(config)
        model, loading = auto_class.from_pretrained(
            location,
            config=config,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
            **_placed(quantization),
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    use_fast_modules(model)
    mismatched = {name for name, *_shapes in loading["mismatched_keys"]}
    found = Loading(set(loading["missing_keys"]) | mismatched, set(loading["unexpected_keys"]))
    return Learner(tokenizer, window_of(model.config, tokenizer), model), found


def bytes_needed(base: str, *, revision: str | None = None) -> int:
    """What the weights of a base take in memory in 32 bits; nothing of them is read.

    Raises BaseError as loading it does.
    """
    import torch
    from transformers import AutoModel

    location = base_location(base)
    options = loading_options(location, revision)
    with quiet_transformers(), base_errors(base), torch.device("meta"):
        config = load_config(location, options)
        model = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return FP32_BYTES * int(model.num_parameters())


def refuse_missing(names: Iterable[str], base: str) -> None:
    """Raise BaseError where the base lacks weights, or has them in another shape: they would be noise."""
    missing = sorted(names)
    if missing:
        what = f"{len(missing)} weights do not fit the architecture or are missing, such as {missing[0]}"
        fix = "check that config.json and the weights belong together, or use another base"
        raise BaseError(Problem("weights-do-not-fit", what, base, fix))


def _placed(quantization: Any) -> dict[str, Any]:
    import torch

    if quantization is None:
        return {}
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": quantization, "device_map": {"": device}}


def _refuse_foreign_tokenizer(tokenizer: Any, config: Any, base: str) -> None:
    """Every token must have an embedding: one that has none ends training at the first text that holds it."""
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if highest >= config.vocab_size:
        what = (
            f"the tokenizer has token ids up to {highest:,}, but the model only {config.vocab_size:,} tokens"
        )
        fix = (
            "take the tokenizer that belongs to the model; where tokens were added to it, give the model "
            "rows for them with transformers' resize_token_embeddings() and save both"
        )
        raise BaseError(Problem("tokenizer-does-not-fit", what, base, fix))


def dropout_of(model: Any) -> float:
    """The most dropout that a model was made with."""
    return max((float(getattr(model.config, key, None) or 0) for key in _DROPOUT_KEYS), default=0.0)


def _set_dropout(config: Any, dropout: float | None) -> None:
    if dropout is not None:
        for key in _DROPOUT_KEYS:
            if hasattr(config, key):
                setattr(config, key, dropout)
