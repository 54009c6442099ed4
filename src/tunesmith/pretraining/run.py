"""Raw text -> a Hugging Face model directory: tokenizer, GPT-2 and a card that says how."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import Problem, StorageError
from tunesmith.files import refuse_existing, staged_directory, write_json, write_text
from tunesmith.model.faster import use_fast_modules
from tunesmith.model.load import quiet_transformers
from tunesmith.pretraining.corpus import Blocks, Part, PartBlocks, documents, load_blocks, train_tokenizer
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.completion import LanguageModelling
from tunesmith.training.loop import fit
from tunesmith.training.resume import begun, refuse_changes
from tunesmith.training.state import Fitted, LoopSettings, Progress

__all__ = ["SIZES", "PretrainSettings", "Size", "bits_per_byte", "pretrain"]

_TOKENIZER_CHARACTERS = 30_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a GPT-2."""

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


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """How a base is made."""

    size: Size
    window: int
    tokens: int
    batch_tokens: int
    learning_rate: float
    precision: str
    seed: int


def pretrain(
    parts: Sequence[Part],
    out: Path,
    settings: PretrainSettings,
    *,
    overwrite: bool = False,
    resume: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Make a base at `out` from `parts`; returns what `pretrain.json` there says.

    Checkpoints stand beside `out` until it is done. Raises DataError (no text, or too little), StorageError,
    ResumeError, and Interrupted with a checkpoint kept.
    """
    refuse_existing(out, overwrite)
    checkpoints = Checkpoints(out.with_name(f"{out.name}.checkpoints"))
    about_file = checkpoints.directory / "run.json"
    before = begun(about_file) if resume else None
    if not resume:
        _refuse_stopped(checkpoints, overwrite)
    on_stage("read")
    tokenizer = train_tokenizer(_sample(parts), settings.size.vocabulary, settings.window)
    blocks = load_blocks(parts, tokenizer, settings.window, settings.tokens)
    about = _about(settings, blocks)
    if before is None:
        checkpoints.clear()
        write_json(about_file, about)
    else:
        refuse_changes(before, about, about_file)
    on_stage("pretrain")
    model = _new_model(tokenizer, settings)
    objective = LanguageModelling(blocks.train)
    fitted = fit(
        model,
        objective,
        Plan(objective.lengths - 1, 1, settings.batch_tokens, settings.seed),
        _loop_settings(settings),
        evaluate=lambda trained: _held_out(trained, blocks),
        checkpoints=checkpoints,
        resume=resume,
        on_progress=on_progress,
        should_stop=should_stop,
        where=lambda row: f"block {row + 1} of the corpora",
        on_note=on_note,
    )
    facts = _facts(model, settings, blocks, fitted)
    _write(out, model, tokenizer, facts, overwrite)
    checkpoints.clear()
    return facts


def _refuse_stopped(checkpoints: Checkpoints, overwrite: bool) -> None:
    """Hours of a run that was stopped must not be lost to a forgotten --resume."""
    if checkpoints.newest() is not None and not overwrite:
        what = "the checkpoints of a run that was stopped would be lost"
        fix = "add --resume to go on with it, or --overwrite to begin anew"
        raise StorageError(Problem("exists", what, str(checkpoints.directory), fix))


def _about(settings: PretrainSettings, blocks: Blocks) -> dict[str, Any]:
    corpora = {
        str(number): {"name": part.name, "sha256": part.sha256, "share": part.share}
        for number, part in enumerate(blocks.parts, 1)
    }
    return {"settings": asdict(settings), "corpora": corpora}


def _loop_settings(settings: PretrainSettings) -> LoopSettings:
    return LoopSettings(
        learning_rate=settings.learning_rate,
        schedule="cosine",
        warmup_fraction=0.03,
        micro_batch_tokens=min(settings.batch_tokens, 4 * settings.window),
        weight_decay=0.1,
        max_gradient_norm=1.0,
        precision="bf16" if settings.precision == "bf16" else "fp32",
        seed=settings.seed,
        early_stopping=0,
        evaluations_per_epoch=10,
    )


def _sample(parts: Sequence[Part]) -> Iterator[str]:
    """The beginning of each part, by share, for the tokenizer to learn from."""
    total = sum(part.share for part in parts)
    for part in parts:
        left = _TOKENIZER_CHARACTERS * part.share / total
        for document in documents(part.path):
            yield document
            left -= len(document)
            if left < 0:
                break


def _new_model(tokenizer: Any, settings: PretrainSettings) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    size = settings.size
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings.window,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        # one pass over more text than the model can remember needs no dropout
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    torch.manual_seed(settings.seed)
    model = GPT2LMHeadModel(config)
    use_fast_modules(model)
    return model


def _held_out(model: Any, blocks: Blocks) -> dict[str, float]:
    figures = [(part.name, bits_per_byte(model, part)) for part in blocks.parts]
    mean = sum(figure for _, figure in figures) / len(figures)
    return {"score": -mean, "bits_per_byte": mean} | {f"bits_per_byte {name}": f for name, f in figures}


def bits_per_byte(model: Any, part: PartBlocks) -> float:
    """Bits the model needs for a byte of the held-out text: comparable across tokenizers."""
    import torch

    objective = LanguageModelling(part.held_out)
    groups = [range(i, min(i + 4, len(part.held_out))) for i in range(0, len(part.held_out), 4)]
    with torch.inference_mode():
        nats = sum(float(objective.loss(model, group)) for group in groups)
    return nats / math.log(2) / part.held_out_bytes


def _facts(model: Any, settings: PretrainSettings, blocks: Blocks, fitted: Fitted) -> dict[str, Any]:
    corpora = [
        {
            "name": p.name,
            "sha256": p.sha256,
            "share": p.share,
            "tokens": p.distinct_tokens,
            "passes": p.passes,
        }
        for p in blocks.parts
    ]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "settings": asdict(settings),
        "corpora": corpora,
        "tokens_seen": fitted.tokens,
        "steps": fitted.step,
        "training_seconds": round(fitted.seconds),
        "hardware": f"{platform.processor() or platform.machine()}, {_threads()}",
        "date": time.strftime("%Y-%m-%d"),
        "curve": [row for row in fitted.history if "bits_per_byte" in row],
    }


def _threads() -> str:
    import torch

    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count != 1)}"


def _write(out: Path, model: Any, tokenizer: Any, facts: Mapping[str, Any], overwrite: bool) -> None:
    """fp16 halves the size, and fine-tuning starts from fp32 copies all the same."""
    with staged_directory(out, overwrite=overwrite) as directory, quiet_transformers():
        model.half().save_pretrained(directory)
        model.float()
        tokenizer.save_pretrained(directory)
        write_json(directory / "pretrain.json", dict(facts))
        write_text(directory / "README.md", _card(facts))


def _card(facts: Mapping[str, Any]) -> str:
    settings, size = facts["settings"], facts["settings"]["size"]
    corpora = "\n".join(
        f"| {c['name']} | {c['share']:g} | {c['tokens']:,} | {c['passes']:.2f} | `{c['sha256'][:16]}…` |"
        for c in facts["corpora"]
    )
    curve = "\n".join(
        f"| {row['step']:.0f} | {row['train_loss']:.3f} | {row['bits_per_byte']:.3f} |"
        for row in facts["curve"]
    )
    return f"""# A GPT-2 made by `tunesmith pretrain`

{size["layers"]} layers, width {size["width"]}, {size["heads"]} heads, vocabulary {size["vocabulary"]:,} \
(byte-level BPE), window {settings["window"]} tokens: {facts["parameters"]:,} parameters, \
saved as fp16 safetensors.

| corpus | share | distinct tokens | passes | SHA-256 |
|---|---|---|---|---|
{corpora}

Seen: {facts["tokens_seen"]:,} tokens in {facts["steps"]:,} steps of {settings["batch_tokens"]:,}, \
AdamW at {settings["learning_rate"]:g} (cosine, {settings["precision"]}), seed {settings["seed"]}, \
in {facts["training_seconds"] / 60:.0f} minutes on {facts["hardware"]}, {facts["date"]}.

| step | training loss (nats a token) | held-out bits per byte |
|---|---|---|
{curve}
"""
