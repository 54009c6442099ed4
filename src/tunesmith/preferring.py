"""Tasks that learn to write from preferences: what is learned, and how often the model then agrees.

All that is not about pairs of answers is as for tasks that write from examples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from tunesmith import writing
from tunesmith.data.chat import last_answer, pair_in
from tunesmith.data.check import DataReport, with_tokens
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.evaluation.predictions import written_predictions
from tunesmith.evaluation.preference.pairs import pairs_of
from tunesmith.evaluation.preference.report import (
    PreferenceRival,
    build_preference_report,
    row_scores,
    run_preference_rivals,
)
from tunesmith.evaluation.types import Cost, Report
from tunesmith.lesson import Judging, Lesson, OnAnswer
from tunesmith.model.encode import count_tokens
from tunesmith.model.generator import Generator
from tunesmith.model.language import TokenSums, token_sums
from tunesmith.model.targets import template_of
from tunesmith.model.tokens import encode_targets
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.methods import place
from tunesmith.training.preference import Preferring
from tunesmith.writer import Writer
from tunesmith.writing import answerer, label_counts, targets_of, thresholds

__all__ = [
    "answer_tokens",
    "answerer",
    "judge",
    "judged",
    "label_counts",
    "lesson",
    "load_base",
    "rival",
    "rivals",
    "thresholds",
    "token_report",
]


def load_base(recipe: Recipe, train: Dataset) -> Generator:
    """The recipe's base with its own head; without dropout, unless the recipe says otherwise."""
    dropout = 0.0 if recipe.dropout is None else recipe.dropout
    return writing.load_base(recipe.model_copy(update={"dropout": dropout}), train)


def token_report(report: DataReport, dataset: Dataset, tokenizer: Any, window: int) -> DataReport:
    """The report with the lengths of prompts with the longer of their answers."""
    tokens = encode_targets(tokenizer, dataset, template_of(tokenizer), window).encoded
    longer = (tokens.lengths + tokens.cut).reshape(-1, 2).max(axis=1)
    return with_tokens(report, dataset, longer.astype(np.int32), window=window)


def answer_tokens(train: Dataset, tokenizer: Any) -> int:
    """The tokens of the longest preferred answer, the one that ends it included."""
    answers = (
        [last_answer(pair_in(pair)[0]) or "" for pair in batch.column("target").to_pylist()]
        for batch in train.batches()
    )
    counts = chain.from_iterable(count_tokens(tokenizer, some) for some in answers)
    return 1 + max(counts, default=0)


def lesson(generator: Generator, recipe: Recipe, splits: Splits, processes: Processes) -> Lesson:
    """What is learned from the pairs of the training rows, and judged on those of the validation rows."""
    train, held_out = (_pairs(generator, part, recipe) for part in (splits.train, splits.validation))
    assert recipe.precision != "auto", "the recipe is not resolved"
    has_validation, most, precision = (
        bool(len(splits.validation)),
        recipe.micro_batch_tokens,
        recipe.precision,
    )

    def begin(base: Any, kept: Checkpoints, resume: bool) -> None:
        shared: dict[str, Any] = {"micro_batch_tokens": most, "resume": resume, "processes": processes}
        train.refer(base, kept, "reference-train", precision=precision, **shared)
        if has_validation:
            held_out.refer(base, kept, "reference-validation", **shared)

    def evaluate(model: Any) -> Mapping[str, float]:
        figures = held_out.figures(model, most, processes)
        loss = figures.pop("preference_loss")
        # who wins chooses the best weights; on small sets that often ties, and then the loss decides
        return {"score": figures["reward_accuracy"] - 1e-3 * loss, "validation_loss": loss, **figures}

    if not has_validation:
        return Lesson(train, begin=begin)
    return Lesson(train, held_out, evaluate, begin)


def _pairs(generator: Generator, dataset: Dataset, recipe: Recipe) -> Preferring:
    assert recipe.max_tokens is not None
    targets = targets_of(generator, dataset, recipe.max_tokens)
    return Preferring(targets, generator.tokenizer.pad_token_id, recipe.beta)


def judged(test: Dataset, _recipe: Recipe) -> Dataset:
    """The test rows that are judged: all of them, since nothing is written."""
    return test


def rivals(
    recipe: Recipe, train: Dataset, test: Dataset, _on_answer: OnAnswer
) -> tuple[PreferenceRival, ...]:
    """What the base preferred before it was tuned, and which answer is longer, on the same rows."""
    sums, milliseconds = _asked(_placed_base(recipe, train), test, recipe)
    # the same base is the reference of the model's rewards
    test.once(_reference_of(recipe), lambda: sums)
    return run_preference_rivals(sums, milliseconds)


def _placed_base(recipe: Recipe, rows: Dataset) -> Generator:
    base = load_base(recipe, rows)
    place(base.model)
    return base


def _reference_of(recipe: Recipe) -> tuple[str, ...]:
    """What the log-likelihoods of the base hang on, beside the rows."""
    said = recipe.model_dump(mode="json", include={"base", "revision", "max_tokens", "method"})
    return ("reference", *map(str, said.values()))


def _asked(generator: Generator, test: Dataset, recipe: Recipe) -> tuple[TokenSums, float]:
    """What a model makes of both answers of each row, and the milliseconds that one row took."""
    assert recipe.max_tokens is not None
    started = time.perf_counter()
    targets = targets_of(generator, test, recipe.max_tokens)
    pad_token_id = generator.tokenizer.pad_token_id
    sums = token_sums(generator.model, targets, pad_token_id, recipe.micro_batch_tokens)
    return sums, 1000 * (time.perf_counter() - started) / max(1, len(test))


def rival(
    name: str,
    how: str,
    writer: Writer,
    test: Dataset,
    _on_answer: OnAnswer,
    train_seconds: float,
    recipe: Recipe,
) -> PreferenceRival:
    """Another trained model's preferences on the test rows, as a rival."""
    scores, _, milliseconds = _scored(writer, test, recipe)
    return PreferenceRival(name, how, scores, train_seconds, milliseconds)


def _scored(writer: Writer, test: Dataset, recipe: Recipe) -> tuple[dict[str, Any], TokenSums, float]:
    """What each pair scores, what the model made of the answers, and the milliseconds that a row took."""
    sums, milliseconds = _asked(writer.generator, test, recipe)
    base = test.once(_reference_of(recipe), lambda: _asked(_placed_base(recipe, test), test, recipe)[0])
    return row_scores(-sums.log_loss, -base.log_loss, recipe.beta), sums, milliseconds


def judge(writer: Writer, test: Dataset, rivals: Sequence[PreferenceRival], judging: Judging) -> Report:
    """The report on the test rows; raises BaseError where the base, by which rewards go, cannot be had."""
    recipe = judging.recipe
    scores, sums, milliseconds = _scored(writer, test, recipe)
    if judging.keep is not None:
        judging.keep(written_predictions(test, scores))
    return build_preference_report(
        test=pairs_of(test),
        scores=scores,
        tokens=sums.tokens.astype(np.float64),
        beta=recipe.beta,
        rivals=rivals,
        curves=judging.curves,
        cost=Cost(judging.train_seconds, milliseconds, judging.peak_memory_bytes),
        provenance=judging.provenance,
        seed=recipe.seed,
    )
