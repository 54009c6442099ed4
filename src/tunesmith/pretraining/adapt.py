"""A base and text of a domain that it has not seen -> the same base, having read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import Problem, StorageError
from tunesmith.listener import Listener
from tunesmith.model.base import base_location, load_config, load_tokenizer, loading_options
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.generator import Generator, load_generator
from tunesmith.pretraining.card import write_base
from tunesmith.pretraining.corpus import Part, refuse_missing
from tunesmith.pretraining.teaching import Place, Share, facts_of, held_out_figures, micro_batch_tokens, teach
from tunesmith.pretraining.tokens import tokens_of
from tunesmith.recipe import full_learning_rate
from tunesmith.training.precision import Precision
from tunesmith.training.state import LoopSettings

__all__ = ["AdaptSettings", "adapt"]


@dataclass(frozen=True, slots=True)
class AdaptSettings:
    """How a base goes on reading."""

    precision: Precision
    epochs: float = 1.0
    """How often the text of the domain is read"""
    general_share: float = 0.0
    """The share of the tokens that are of general text, against forgetting"""
    window: int | None = None
    """None: what the base can read, 1,024 tokens at most"""
    batch_tokens: int = 8192
    learning_rate: float | None = None
    """None: by the size of the base, as for fine-tuning"""
    seed: int = 0
    revision: str | None = None


_WIDEST_WINDOW = 1024


def adapt(
    base: str,
    parts: Sequence[Part],
    out: Path,
    settings: AdaptSettings,
    *,
    general: Sequence[Part] = (),
    overwrite: bool = False,
    resume: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Go on pre-training `base` on `parts` and write the result to `out`; returns its `pretrain.json`.

    The weights kept are those that know the held-out text of the domain best. Checkpoints stand beside `out`
    until it is done. Raises BaseError, DataError (no text, or too little), StorageError, ResumeError, and
    Interrupted with a checkpoint kept.
    """
    listener = listener or Listener()
    _refuse_itself(base, out)
    place = Place(out, overwrite=overwrite, resume=resume)
    listener.stage("read")
    refuse_missing([*parts, *general])
    learner = load_generator(base, revision=settings.revision, seed=settings.seed, dropout=0.0)
    window = min(settings.window or _WIDEST_WINDOW, learner.window)
    shares = _shares(parts, general, learner.tokenizer, window, settings)
    rate = settings.learning_rate or full_learning_rate(learner.parameters)
    told = {**asdict(settings), "window": window, "learning_rate": rate}
    place.begin({"settings": told, "base": fingerprint(learner), "corpora": _corpora(shares)})
    before = _bits(held_out_figures(learner.model, shares, window))
    listener.note(f"before: {', '.join(f'{name} {bits:.3f} bits a byte' for name, bits in before.items())}")
    listener.stage("adapt")
    loop = _loop_settings(rate, window, settings)
    fitted = teach(
        learner.model,
        learner.tokenizer,
        shares,
        window,
        settings.batch_tokens,
        loop,
        place,
        listener,
        should_stop,
    )
    taught = facts_of(learner.model, learner.tokenizer, shares, window, fitted)
    facts = {"base": base, "settings": told, "before": before, **taught}
    _write(base, learner, facts, out, settings.revision, overwrite)
    place.checkpoints.clear()
    return facts


def _refuse_itself(base: str, out: Path) -> None:
    if Path(base).expanduser().resolve() == out.resolve():
        fix = "name another directory with --out: the base itself stays as it is"
        raise StorageError(Problem("exists", "the base to be adapted stands here", str(out), fix))


def _shares(
    parts: Sequence[Part], general: Sequence[Part], tokenizer: Any, window: int, settings: AdaptSettings
) -> list[Share]:
    """The whole text of the domain, so often as is said, and as much general text as belongs to it."""
    own = [tokens_of(part, tokenizer, window, None) for part in parts]
    wanted = [round(len(tokens.train) * tokens.part.share * settings.epochs) for tokens in own]
    shares = [Share(tokens, count) for tokens, count in zip(own, wanted, strict=True)]
    beside = sum(wanted) * settings.general_share / (1 - settings.general_share)
    total = sum(part.share for part in general)
    for part in general if beside else ():
        count = max(window + 1, round(beside * part.share / total))
        shares.append(Share(tokens_of(part, tokenizer, window, count), count, judges=False))
    return shares


def _corpora(shares: Sequence[Share]) -> dict[str, Any]:
    return {
        str(number): {"name": share.tokens.name, "sha256": share.tokens.sha256, "tokens": share.wanted}
        for number, share in enumerate(shares, 1)
    }


def _bits(figures: dict[str, float]) -> dict[str, float]:
    """Corpus -> bits a byte."""
    start = "bits_per_byte "
    return {name.removeprefix(start): value for name, value in figures.items() if name.startswith(start)}


def _loop_settings(learning_rate: float, window: int, settings: AdaptSettings) -> LoopSettings:
    return LoopSettings(
        learning_rate=learning_rate,
        schedule="cosine",
        warmup_fraction=0.1,
        micro_batch_tokens=micro_batch_tokens(window, settings.batch_tokens),
        weight_decay=0.01,
        max_gradient_norm=1.0,
        precision=settings.precision,
        seed=settings.seed,
        early_stopping=0,
        evaluations_per_epoch=5,
    )


def _write(
    base: str, learner: Generator, facts: dict[str, Any], out: Path, revision: str | None, overwrite: bool
) -> None:
    """In the number format that the base has, with its tokenizer as it is."""
    import torch

    location = base_location(base)
    options = loading_options(location, revision)
    dtype = load_config(location, options).dtype or torch.float32
    tokenizer = load_tokenizer(location, options)
    write_base(out, learner.model, tokenizer, facts, dtype=dtype, overwrite=overwrite)
