"""Named sizes, and a new model of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.model.faster import use_fast_modules

__all__ = ["SIZES", "Architecture", "Size", "new_model"]

Architecture = Literal["gpt2", "llama"]


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a model."""

    layers: int
    width: int
    heads: int
    vocabulary: int


SIZES: dict[str, Size] = {
    "nano": Size(4, 192, 6, 6_144),
    "micro": Size(4, 256, 4, 8_192),
    "mini": Size(6, 384, 6, 16_384),
    "small": Size(12, 768, 12, 32_768),
}


def new_model(architecture: Architecture, size: Size, tokenizer: Any, window: int, seed: int) -> Any:
    """A language model with random weights; one pass over much text needs no dropout."""
    import torch
    from transformers import AutoModelForCausalLM

    make = {"gpt2": _gpt2, "llama": _llama}[architecture]
    config = make(
        size,
        window,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    use_fast_modules(model)
    return model


def _gpt2(size: Size, window: int, **same: Any) -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        n_positions=window,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **same,
    )


def _llama(size: Size, window: int, **same: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        max_position_embeddings=window,
        hidden_size=size.width,
        # three matrices of this width have as many weights as GPT-2's two of four times the model's
        intermediate_size=round(8 * size.width / 3 / 32) * 32,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        tie_word_embeddings=True,
        **same,
    )
