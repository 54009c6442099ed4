"""Tiny models made in-process, of the architectures that people fine-tune."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from tunesmith.model.load import Classifier, quiet_transformers

ARCHITECTURES = ("gpt2", "gpt_neo", "gpt_neox", "llama", "qwen2")

SPORTS = ["the striker scored a late goal", "the coach praised the team", "fans sang as the match began"]
POLITICS = ["the minister lost the vote", "parliament passed the budget", "the senate heard the bill"]


@cache
def _vocabulary() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SPORTS + POLITICS, trainer)
    return tokenizer


def save_tiny_bundle(directory: Path, classifier: Classifier, max_tokens: int) -> Path:
    """A bundle of the classifier, with scores that are made up."""
    from tunesmith.bundle import write_bundle
    from tunesmith.recipe import Recipe
    from tunesmith.task import Task

    scores = {"macro_f1": 0.9, "accuracy": 0.9}
    intervals = {name: {"low": 0.8, "high": 1.0} for name in scores}
    write_bundle(
        directory,
        classifier,
        task=Task(labels=classifier.labels),
        recipe=Recipe(max_tokens=max_tokens),
        report={"rows": 6, "metrics": scores, "intervals": intervals},
        data_report={},
        card="",
    )
    return directory


def tiny_tokenizer() -> Any:
    """A byte-level BPE with an end-of-text token and, like GPT-2's, no pad token."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_vocabulary(),
        eos_token="<|endoftext|>",
        bos_token="<|endoftext|>",
    )


def _config(architecture: str, changes: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    tokens = {"vocab_size": len(tiny_tokenizer()), "bos_token_id": 0, "eos_token_id": 0}
    modern = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    }
    match architecture:
        case "gpt2":
            shape: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
        case "gptj":
            shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "rotary_dim": 4}
        case "gpt_neo":
            shape = {
                "hidden_size": 16,
                "num_layers": 2,
                "num_heads": 2,
                "attention_types": [[["global", "local"], 1]],
                "window_size": 8,
                "max_position_embeddings": 64,
            }
        case "gptj":
            shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "rotary_dim": 4}
        case "gpt_neox":
            shape = modern
        case _:
            shape = {**modern, "num_key_value_heads": 1}
    return AutoConfig.for_model(architecture, **shape | tokens | changes)


def save_tiny_base(directory: Path, architecture: str = "gpt2", seed: int = 0, **changes: Any) -> Path:
    """Write a causal language model and its tokenizer, as a hub model would lie on disk.

    `changes` are of its config.
    """
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    with quiet_transformers():
        model = AutoModelForCausalLM.from_config(_config(architecture, changes))  # type: ignore[no-untyped-call]
        model.save_pretrained(directory)
        tiny_tokenizer().save_pretrained(directory)
    return directory
