"""Models with random weights and tokenizers of their own, as a hub's lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.one_training import SHARED, rows_of

__all__ = ["VOCABULARY", "make_model"]

CORPUS = SHARED.parent / "corpus" / "gutenberg-en.txt.zst"
VOCABULARY = {"6x384": 16_384}
"""model -> the tokens it knows, where they are not GPT-2's many."""
_GPT2S = 50_257
_WINDOW = 1024


def _config(name: str, special: dict[str, Any]) -> Any:
    from transformers import GPT2Config, GPTNeoConfig, LlamaConfig

    same: dict[str, Any] = {"vocab_size": VOCABULARY.get(name, _GPT2S), **special}
    match name:
        case "gpt-neo-1.3b":
            return GPTNeoConfig(
                hidden_size=2048,
                num_layers=24,
                num_heads=16,
                attention_types=[[["global", "local"], 12]],
                max_position_embeddings=_WINDOW,
                **same,
            )
        case "llama-1.3b":
            return LlamaConfig(
                hidden_size=2048,
                intermediate_size=5504,
                num_hidden_layers=24,
                num_attention_heads=16,
                max_position_embeddings=_WINDOW,
                **same,
            )
        case "gpt2-124m":
            return GPT2Config(n_positions=_WINDOW, **same)
        case _:
            layers, width = (int(part) for part in name.split("x"))
            return GPT2Config(
                n_positions=_WINDOW, n_embd=width, n_layer=layers, n_head=max(1, width // 64), **same
            )


def make_model(name: str, directory: Path) -> Path:
    """Save the model `name`, such as `6x384` for a GPT-2 of 6 blocks of width 384, and its byte-level BPE."""
    from transformers import AutoModelForCausalLM

    from tunesmith.pretraining.corpus import Part, documents
    from tunesmith.pretraining.tokenizer import train_tokenizer

    texts = [text for data in ("ag_news", "bbc_news") for text in rows_of(data, "train", 10**6).texts]
    texts += [text for text, _ in zip(documents(Part(CORPUS)), range(20_000), strict=False)]
    tokenizer = train_tokenizer(iter(texts), VOCABULARY.get(name, _GPT2S), _WINDOW)
    torch.manual_seed(0)
    special: dict[str, Any] = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = AutoModelForCausalLM.from_config(_config(name, special))  # type: ignore[no-untyped-call]
    model.save_pretrained(directory / name)
    tokenizer.save_pretrained(directory / name)
    return directory / name
