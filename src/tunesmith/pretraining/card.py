"""What a base made here says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.files import staged_directory, write_json, write_text
from tunesmith.model.load import quiet_transformers

__all__ = ["write_base"]

_OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon"}


def write_base(
    out: Path, model: Any, tokenizer: Any, facts: Mapping[str, Any], *, dtype: Any, overwrite: bool
) -> None:
    """Write a Hugging Face model directory, whole or not at all, with `pretrain.json` and a card.

    `dtype` is that of the weights: fp16 halves the size, and fine-tuning starts from fp32 copies anyway.
    """
    import torch

    with staged_directory(out, overwrite=overwrite) as directory, quiet_transformers():
        model.to(dtype).save_pretrained(directory)
        model.to(torch.float32)
        tokenizer.save_pretrained(directory)
        write_json(directory / "pretrain.json", dict(facts))
        write_text(directory / "README.md", _card(facts))


def _card(facts: Mapping[str, Any]) -> str:
    settings = facts["settings"]
    corpora = "\n".join(
        f"| {c['name']} | {c['share']:g} | {c['tokens']:,} | {c['passes']:.2f} | `{c['sha256'][:16]}…` |"
        for c in facts["corpora"]
    )
    curve = "\n".join(
        f"| {row['step']:.0f} | {row['train_loss']:.3f} | {row['bits_per_byte']:.3f} |"
        for row in facts["curve"]
    )
    samples = "\n".join(f"> {text or '(nothing)'}\n" for text in facts["samples"])
    optimizer = _OPTIMIZERS[settings.get("optimizer", "adamw")]
    return f"""{_title(facts)}

| corpus | share | distinct tokens | passes | SHA-256 |
|---|---|---|---|---|
{corpora}

Seen: {facts["tokens_seen"]:,} tokens in {facts["steps"]:,} steps of {settings["batch_tokens"]:,}, \
{optimizer} at {settings["learning_rate"]:g} (cosine, {settings["precision"]}), seed {settings["seed"]}, \
in {facts["training_seconds"] / 60:.0f} minutes on {facts["hardware"]}, {facts["date"]}.

| step | training loss (nats a token) | held-out bits per byte |
|---|---|---|
{curve}

What it writes after nothing, at a temperature of 0.8:

{samples}"""


def _title(facts: Mapping[str, Any]) -> str:
    if "base" in facts:
        before = ", ".join(f"{name} {value:.3f}" for name, value in facts["before"].items())
        return f"""# {facts["base"]}, adapted by `tunesmith adapt`

{facts["parameters"]:,} parameters, trained on with the text below, in windows of \
{facts["settings"]["window"]} tokens. Before that, held-out bits per byte: {before}."""
    size = facts["settings"]["size"]
    name = {"gpt2": "GPT-2", "llama": "Llama"}[facts["settings"]["architecture"]]
    return f"""# A {name} made by `tunesmith pretrain`

{size["layers"]} layers, width {size["width"]}, {size["heads"]} heads, vocabulary {size["vocabulary"]:,} \
(byte-level BPE), window {facts["settings"]["window"]} tokens: {facts["parameters"]:,} parameters, \
saved as fp16 safetensors."""
