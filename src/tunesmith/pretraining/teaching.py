"""What making a base and adapting one have in common: blocks, steps, held-out text, a sample of writing."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.errors import Problem, StorageError
from tunesmith.files import refuse_existing, write_json
from tunesmith.listener import Listener
from tunesmith.model.base import quiet_transformers, window_of
from tunesmith.model.encode import micro_batches
from tunesmith.pretraining.tokens import PartTokens
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.completion import LanguageModelling, block_count
from tunesmith.training.loop import fit
from tunesmith.training.precision import Precision, bf16_in_hardware
from tunesmith.training.resume import begun, refuse_changes
from tunesmith.training.state import Fitted, LoopSettings, Progress

__all__ = [
    "Place",
    "Share",
    "facts_of",
    "held_out_figures",
    "micro_batch_tokens",
    "precision_of",
    "sample",
    "teach",
]

# enough to keep the device busy; on a GPU that has no room for as many, they are halved
_WINDOWS_AT_ONCE = {"cpu": 4, "cuda": 64}
_SAMPLE_TOKENS = 48
_SAMPLE_TEMPERATURE = 0.8
_SAMPLE_TOP_K = 50


@dataclass(frozen=True, slots=True)
class Share:
    """A corpus, and how many of the tokens trained on are its: all, its beginning, or several times all."""

    tokens: PartTokens
    wanted: int
    judges: bool = True
    """Whether the best weights are chosen by what is held out of it"""

    def blocks(self, window: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(rows,) its blocks, each as often as is wanted: whole passes, then the rest of one."""
        count, tokens = block_count(len(self.tokens.train), window), len(self.tokens.train)
        return np.resize(np.arange(count), max(1, round(count * self.wanted / tokens)))

    def passes(self, window: int) -> float:
        """How often the text is seen; below 1, only its beginning is."""
        return len(self.blocks(window)) / block_count(len(self.tokens.train), window)


class Place:
    """Where a base goes, and beside it the checkpoints until it is done."""

    def __init__(self, out: Path, *, overwrite: bool, resume: bool) -> None:
        refuse_existing(out, overwrite)
        self.out, self.overwrite, self.resume = out, overwrite, resume
        self.checkpoints = Checkpoints(out.with_name(f"{out.name}.checkpoints"))
        self._about = self.checkpoints.directory / "run.json"
        self._before = begun(self._about) if resume else None
        if not resume and self.checkpoints.newest() is not None and not overwrite:
            # hours of a run that was stopped must not be lost to a forgotten --resume
            what = "the checkpoints of a run that was stopped would be lost"
            fix = "add --resume to go on with it, or --overwrite to begin anew"
            raise StorageError(Problem("exists", what, str(self.checkpoints.directory), fix))

    def begin(self, about: Mapping[str, Any]) -> None:
        """Claim it for what is described by `about`, or raise ResumeError where something else was begun."""
        if self._before is None:
            self.checkpoints.clear()
            write_json(self._about, dict(about))
        else:
            refuse_changes(self._before, about, self._about)


def precision_of(asked: str) -> Precision:
    """`auto` is bf16 where the hardware multiplies it, else fp32."""
    if asked == "auto":
        return "bf16" if bf16_in_hardware() else "fp32"
    return "bf16" if asked == "bf16" else "fp32"


def micro_batch_tokens(window: int, most: int = 1 << 40) -> int:
    """How many tokens go through a model at once, at most `most`."""
    from accelerate import PartialState

    return min(most, _WINDOWS_AT_ONCE.get(PartialState().device.type, 4) * window)


def teach(
    model: Any,
    tokenizer: Any,
    shares: Sequence[Share],
    window: int,
    batch_tokens: int,
    settings: LoopSettings,
    place: Place,
    listener: Listener,
    should_stop: Callable[[], bool],
) -> Fitted:
    """Train on the blocks of all corpora in random order; the best weights stay."""
    first = np.cumsum([0, *(block_count(len(share.tokens.train), window) for share in shares)])
    blocks = [share.blocks(window) + start for share, start in zip(shares, first, strict=False)]
    objective = LanguageModelling(
        [share.tokens.train for share in shares], window, np.concatenate(blocks).astype(np.int64)
    )

    def evaluate(trained: Any) -> dict[str, float]:
        return held_out_figures(trained, shares, window)

    def heard(progress: Progress) -> None:
        listener.training(progress)
        if progress.validation is not None:
            listener.note(f"writes: {sample(model, tokenizer, progress.step)}")

    return fit(
        model,
        objective,
        Plan(objective.lengths - 1, 1, batch_tokens, settings.seed),
        settings,
        evaluate=evaluate,
        checkpoints=place.checkpoints,
        resume=place.resume,
        on_progress=heard,
        should_stop=should_stop,
        where=lambda row: f"block {row + 1} of the corpora",
        on_note=listener.note,
    )


def held_out_figures(model: Any, shares: Sequence[Share], window: int) -> dict[str, float]:
    """Bits a byte and perplexity of what is held out; `score` is of the corpora that judge."""
    bits = [_bits_per_byte(model, share.tokens, window) for share in shares]
    judging = [bit for bit, share in zip(bits, shares, strict=True) if share.judges]
    mean = sum(judging) / len(judging)
    figures = {"score": -mean, "bits_per_byte": mean}
    for bit, share in zip(bits, shares, strict=True):
        bytes_per_token = share.tokens.held_out_bytes / (len(share.tokens.held_out) - 1)
        figures[f"perplexity {share.tokens.name}"] = math.exp(min(700.0, bit * math.log(2) * bytes_per_token))
        figures[f"bits_per_byte {share.tokens.name}"] = bit
    return figures


def _bits_per_byte(model: Any, part: PartTokens, window: int) -> float:
    """Bits the model needs for a byte of the held-out text: comparable across tokenizers."""
    import torch

    objective = LanguageModelling([part.held_out], window)
    model.eval()
    with torch.inference_mode():
        groups = micro_batches(objective.lengths, micro_batch_tokens(window), packed=True)
        nats = sum(float(objective.loss(model, group)) for group in groups)
    return nats / math.log(2) / part.held_out_bytes


def sample(model: Any, tokenizer: Any, seed: int) -> str:
    """What the model writes after nothing, as one line; no other random number changes by it."""
    import torch

    start = torch.tensor([[tokenizer.eos_token_id]], device=model.device)
    model.eval()
    with torch.random.fork_rng(devices=[]), torch.inference_mode(), quiet_transformers():
        torch.manual_seed(seed)
        ids = model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            max_new_tokens=min(_SAMPLE_TOKENS, window_of(model.config, tokenizer) - 1),
            do_sample=True,
            temperature=_SAMPLE_TEMPERATURE,
            top_k=_SAMPLE_TOP_K,
            use_cache=True,
            pad_token_id=tokenizer.pad_token_id,
        )
    return " ".join(tokenizer.decode(ids[0, 1:], skip_special_tokens=True).split())


def facts_of(
    model: Any, tokenizer: Any, shares: Sequence[Share], window: int, fitted: Fitted
) -> dict[str, Any]:
    """What a base says of how it was taught."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "corpora": [
            {
                "name": share.tokens.name,
                "sha256": share.tokens.sha256,
                "share": share.tokens.part.share,
                "tokens": len(share.tokens.train),
                "passes": share.passes(window),
            }
            for share in shares
        ],
        "tokens_seen": fitted.tokens,
        "steps": fitted.step,
        "training_seconds": round(fitted.seconds),
        "hardware": f"{platform.processor() or platform.machine()}, {_threads()}",
        "date": time.strftime("%Y-%m-%d"),
        "curve": [row for row in fitted.history if "bits_per_byte" in row],
        "samples": [sample(model, tokenizer, seed) for seed in range(3)],
    }


def _threads() -> str:
    import torch

    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count != 1)}"
