"""Raw text -> a Hugging Face model directory: tokenizer, GPT and a card that says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import DataError, Problem
from tunesmith.listener import Listener
from tunesmith.pretraining.card import write_base
from tunesmith.pretraining.corpus import Part, refuse_missing, sample_of
from tunesmith.pretraining.sizes import Architecture, Size, new_model
from tunesmith.pretraining.teaching import Place, Share, facts_of, micro_batch_tokens, teach
from tunesmith.pretraining.tokenizer import train_tokenizer
from tunesmith.pretraining.tokens import tokens_of
from tunesmith.training.precision import Precision
from tunesmith.training.state import LoopSettings, OptimizerName

__all__ = ["PretrainSettings", "pretrain"]


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """How a base is made."""

    size: Size
    window: int
    tokens: int
    batch_tokens: int
    learning_rate: float
    precision: Precision
    seed: int
    architecture: Architecture = "gpt2"
    optimizer: OptimizerName = "muon"


def pretrain(
    parts: Sequence[Part],
    out: Path,
    settings: PretrainSettings,
    *,
    overwrite: bool = False,
    resume: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Make a base at `out` from `parts`; returns what `pretrain.json` there says.

    Checkpoints stand beside `out` until it is done. Raises DataError (no text, or too little), StorageError,
    ResumeError, and Interrupted with a checkpoint kept.
    """
    import torch

    listener = listener or Listener()
    place = Place(out, overwrite=overwrite, resume=resume)
    listener.stage("read")
    refuse_missing(parts)
    tokenizer = train_tokenizer(sample_of(parts), settings.size.vocabulary, settings.window)
    shares = _shares(parts, tokenizer, settings)
    place.begin(_about(settings, shares))
    listener.stage("pretrain")
    model = new_model(settings.architecture, settings.size, tokenizer, settings.window, settings.seed)
    fitted = teach(
        model,
        tokenizer,
        shares,
        settings.window,
        settings.batch_tokens,
        _loop_settings(settings),
        place,
        listener,
        should_stop,
    )
    facts = {"settings": asdict(settings), **facts_of(model, tokenizer, shares, settings.window, fitted)}
    write_base(out, model, tokenizer, facts, dtype=torch.float16, overwrite=overwrite)
    place.checkpoints.clear()
    return facts


def _shares(parts: Sequence[Part], tokenizer: Any, settings: PretrainSettings) -> list[Share]:
    total = sum(part.share for part in parts)
    wanted = [int(settings.tokens * part.share / total) for part in parts]
    for part, tokens in zip(parts, wanted, strict=True):
        if tokens <= settings.window:
            what = f"its share of --tokens, {tokens:,}, does not fill one window of {settings.window} tokens"
            fix = "raise --tokens, or lower --window"
            raise DataError(Problem("few-tokens", what, str(part.path), fix))
    return [
        Share(tokens_of(part, tokenizer, settings.window, tokens), tokens)
        for part, tokens in zip(parts, wanted, strict=True)
    ]


def _about(settings: PretrainSettings, shares: Sequence[Share]) -> dict[str, Any]:
    corpora = {
        str(number): {
            "name": share.tokens.name,
            "sha256": share.tokens.sha256,
            "share": share.tokens.part.share,
        }
        for number, share in enumerate(shares, 1)
    }
    return {"settings": asdict(settings), "corpora": corpora}


def _loop_settings(settings: PretrainSettings) -> LoopSettings:
    return LoopSettings(
        learning_rate=settings.learning_rate,
        schedule="cosine",
        warmup_fraction=0.03,
        micro_batch_tokens=micro_batch_tokens(settings.window, settings.batch_tokens),
        weight_decay=0.1,
        max_gradient_norm=1.0,
        precision=settings.precision,
        seed=settings.seed,
        early_stopping=0,
        evaluations_per_epoch=10,
        optimizer=settings.optimizer,
    )
