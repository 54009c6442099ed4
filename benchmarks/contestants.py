"""Ways to fine-tune the same classifier on the same rows: the tutorial's, Trainer's better ones, and ours."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunesmith.model.encode import Encoded
from tunesmith.model.faster import use_fast_modules
from tunesmith.model.packed import can_pack
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.loop import LoopSettings, fit
from tunesmith.training.objective import Classification
from tunesmith.training.optimizer import weight_decay_left
from tunesmith.training.vocabulary import compact_vocabulary

__all__ = ["CONTESTANTS", "TITLES", "Job", "now"]

BATCH = 16
TITLES = {
    "defaults": "(a) Trainer's defaults",
    "tutorial": "(a) the tutorial's: padded to the longest of the set",
    "dynamic": "(b) Trainer, padded to the longest of the batch",
    "grouped": "(c) Trainer, grouped by length",
    "grouped-bf16": "(c) grouped by length in bf16",
    "tunesmith": "(d) tunesmith",
    "tunesmith-bf16": "(d) in bf16",
}


@dataclass(frozen=True, slots=True)
class Job:
    """What all of them are given."""

    encoded: Encoded
    label_ids: np.ndarray[Any, np.dtype[np.int64]]
    labels: int
    epochs: int
    learning_rate: float
    seed: int
    longest: int
    """Tokens of the longest text of the whole training set, of which `encoded` is a sample"""
    between: Callable[[], float] = float
    """Called after each step; returns the seconds that it took, which do not count"""


def _trainer(
    model: Any, job: Job, *, whole: bool = False, bf16: bool = False, batch: int = BATCH, **options: Any
) -> float:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    spent = 0.0

    class Between(TrainerCallback):
        def on_step_end(self, *_given: Any, **_more: Any) -> None:
            nonlocal spent
            spent += job.between()

    rows = [
        {"input_ids": job.encoded[row].tolist(), "labels": int(job.label_ids[row])}
        for row in range(len(job.encoded))
    ]

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = job.longest if whole else max(len(row["input_ids"]) for row in batch)
        ids = torch.full((len(batch), width), model.config.pad_token_id)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for index, row in enumerate(batch):
            ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            mask[index, : len(row["input_ids"])] = 1
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": torch.tensor([r["labels"] for r in batch]),
        }

    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            output_dir=directory,
            per_device_train_batch_size=batch,
            num_train_epochs=job.epochs,
            learning_rate=job.learning_rate,
            warmup_steps=0.1,
            weight_decay=0.01,
            max_grad_norm=1.0,
            seed=job.seed,
            bf16=bf16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **options,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
        trainer.add_callback(Between())
        began = now()
        trainer.train()
        return now() - began - spent


def now() -> float:
    """Seconds; a GPU has then done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _tunesmith(model: Any, job: Job, *, bf16: bool) -> float:
    use_fast_modules(model)
    if torch.cuda.is_available():
        model.to("cuda")
    lengths = job.encoded.lengths
    ended = spent = 0.0

    def evaluate(_model: Any) -> Mapping[str, float]:
        nonlocal ended
        ended = now() - spent
        return {"score": ended}  # the last is the best, as with Trainer

    def should_stop() -> bool:
        nonlocal spent
        spent += job.between()
        return False

    settings = LoopSettings(
        learning_rate=job.learning_rate,
        schedule="linear",
        warmup_fraction=0.1,
        micro_batch_tokens=8192,
        weight_decay=0.01,
        max_gradient_norm=1.0,
        precision="bf16" if bf16 else "fp32",
        seed=job.seed,
        early_stopping=0,
        packed=can_pack(model),
    )
    plan = Plan(lengths, job.epochs, round(BATCH * float(lengths.mean())), job.seed)
    pad, began = model.config.pad_token_id, now()
    with tempfile.TemporaryDirectory() as directory, compact_vocabulary(model, [job.encoded], pad) as others:
        objective = Classification(job.encoded, job.label_ids.tolist(), pad, np.ones(job.labels))
        checkpoints = Checkpoints(Path(directory))
        asked: dict[str, Any] = {"evaluate": evaluate, "checkpoints": checkpoints}
        fitted = fit(model, objective, plan, settings, should_stop=should_stop, **asked)
        others.decay = weight_decay_left(fitted.best_step, plan.total_steps, settings)
    return ended - began


CONTESTANTS: dict[str, Callable[[Any, Job], float]] = {
    "defaults": lambda model, job: _trainer(model, job, batch=8),
    "tutorial": lambda model, job: _trainer(model, job, whole=True),
    "dynamic": lambda model, job: _trainer(model, job),
    "grouped": lambda model, job: _trainer(model, job, train_sampling_strategy="group_by_length"),
    "grouped-bf16": lambda model, job: _trainer(
        model, job, bf16=True, train_sampling_strategy="group_by_length"
    ),
    "tunesmith": lambda model, job: _tunesmith(model, job, bf16=False),
    "tunesmith-bf16": lambda model, job: _tunesmith(model, job, bf16=True),
}
"""name -> train in place; returns seconds from the first step to the last."""
