"""Tasks that write, from prompts or in chats: their base, what is learned, how it is judged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from tunesmith.data.check import DataReport, with_tokens
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.errors import BaseError
from tunesmith.evaluation.generation.questions import Conversation, questions_of
from tunesmith.evaluation.generation.report import build_generation_report
from tunesmith.evaluation.generation.rivals import (
    MOST_TRAIN_ROWS,
    Untuned,
    WritingRival,
    run_generation_rivals,
)
from tunesmith.evaluation.generation.scores import score_rows
from tunesmith.evaluation.predictions import written_predictions
from tunesmith.evaluation.types import Cost, Report
from tunesmith.lesson import Judging, Lesson, OnAnswer
from tunesmith.model.encode import count_tokens
from tunesmith.model.generator import Generator, load_generator
from tunesmith.model.language import TokenSums, token_sums
from tunesmith.model.targets import EncodedTargets, template_of
from tunesmith.model.tokens import encode_targets
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.training.completion import Completion
from tunesmith.training.methods import quantization_of
from tunesmith.writer import Writer, Written, writer_for

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
    "targets_of",
    "thresholds",
    "token_report",
]


# answered before anybody is told
_CHUNK_PROMPTS = 64


def load_base(recipe: Recipe, _train: Dataset) -> Generator:
    """The recipe's base with its own head, which writes."""
    return load_generator(
        recipe.base,
        revision=recipe.revision,
        seed=recipe.seed,
        dropout=recipe.dropout,
        quantization=quantization_of(recipe),
    )


def token_report(report: DataReport, dataset: Dataset, tokenizer: Any, window: int) -> DataReport:
    """The report with the lengths of prompts and answers together."""
    tokens = encode_targets(tokenizer, dataset, template_of(tokenizer), window).encoded
    return with_tokens(report, dataset, (tokens.lengths + tokens.cut).astype(np.int32), window=window)


def label_counts(_train: Dataset) -> tuple[int, ...]:
    """None: what is written has no labels."""
    return ()


def answer_tokens(train: Dataset, tokenizer: Any) -> int:
    """The tokens of the longest answer, the one that ends it included."""
    answers = ([answer or "" for answer in batch.column("target").to_pylist()] for batch in train.batches())
    counts = chain.from_iterable(count_tokens(tokenizer, some) for some in answers)
    return 1 + max(counts, default=0)


def lesson(generator: Generator, recipe: Recipe, splits: Splits, processes: Processes) -> Lesson:
    """What is learned from the answers of the training rows, and judged on those of the validation rows."""
    assert recipe.max_tokens is not None
    train, held_out = (
        targets_of(generator, part, recipe.max_tokens) for part in (splits.train, splits.validation)
    )
    pad_token_id = generator.tokenizer.pad_token_id

    if not len(splits.validation):
        return Lesson(Completion(train, pad_token_id))

    def evaluate(model: Any) -> Mapping[str, float]:
        sums = token_sums(model, held_out, pad_token_id, recipe.micro_batch_tokens, processes)
        figures = sums.figures()
        loss = figures.pop("log_loss")
        return {"score": -loss, "validation_loss": loss, **figures}

    return Lesson(Completion(train, pad_token_id), Completion(held_out, pad_token_id), evaluate)


def targets_of(generator: Generator, dataset: Dataset, max_tokens: int) -> EncodedTargets:
    """The rows as the generator reads them."""
    return encode_targets(generator.tokenizer, dataset, generator.template, max_tokens)


def answerer(generator: Generator, recipe: Recipe, splits: Splits) -> Writer:
    """What writes with the trained model."""
    return writer_for(generator, recipe, splits.train.task)


def thresholds(_writer: Writer) -> None:
    """None: there are no labels."""


def judged(test: Dataset, recipe: Recipe) -> Dataset:
    """The test rows that are answered: writing takes time, and so they are no more than the recipe says."""
    return test.drawn(recipe.judged_rows, recipe.seed)


def rivals(recipe: Recipe, train: Dataset, test: Dataset, on_answer: OnAnswer) -> tuple[WritingRival, ...]:
    """The base before it was tuned, where it can be had, and the cheap methods, on the same split."""
    try:
        writer = writer_for(load_base(recipe, train), recipe, train.task)
    except BaseError:
        # a model is judged anew on a machine that does not have its base
        untuned = None
    else:
        asking = partial(_answered, writer, who="the untuned base", on_answer=on_answer)
        tokens = _tokens(writer, test)
        untuned = Untuned(
            lambda asked: [each.text for each in asking(asked)], tokens.figures(), tokens=tokens
        )
    learned = questions_of(train.drawn(MOST_TRAIN_ROWS, recipe.seed))
    return run_generation_rivals(learned, questions_of(test), recipe.seed, untuned=untuned)


def rival(
    name: str,
    how: str,
    writer: Writer,
    test: Dataset,
    on_answer: OnAnswer,
    train_seconds: float,
    _recipe: Recipe,
) -> WritingRival:
    """Another trained model's answers to the test rows, as a rival."""
    started = time.perf_counter()
    written = _answered(writer, questions_of(test).conversations, who=name, on_answer=on_answer)
    milliseconds = 1000 * (time.perf_counter() - started) / len(test)
    answers, tokens = [each.text for each in written], _tokens(writer, test)
    return WritingRival(name, how, answers, train_seconds, milliseconds, tokens.figures(), tokens=tokens)


def _tokens(writer: Writer, test: Dataset) -> TokenSums:
    """What the model makes of the tokens of the references of the test rows."""
    generator = writer.generator
    targets = targets_of(generator, test, writer.max_tokens)
    pad_token_id = generator.tokenizer.pad_token_id
    return token_sums(generator.model, targets, pad_token_id, writer.micro_batch_tokens)


def _answered(
    writer: Writer, asked: Sequence[Conversation], *, who: str, on_answer: OnAnswer
) -> list[Written]:
    """An answer for each conversation, told as they come."""
    written: list[Written] = []
    for answer in writer.stream(asked, chunk_prompts=_CHUNK_PROMPTS):
        written.append(answer)
        on_answer(who, len(written), len(asked))
    return written


def judge(writer: Writer, test: Dataset, rivals: Sequence[WritingRival], judging: Judging) -> Report:
    """The report on the test rows."""
    questions = questions_of(test)
    started = time.perf_counter()
    written = _answered(writer, questions.conversations, who="the model", on_answer=judging.on_answer)
    milliseconds = 1000 * (time.perf_counter() - started) / len(test)
    tokens, answers = _tokens(writer, test), [each.text for each in written]
    if judging.keep is not None:
        judging.keep(written_predictions(test, score_rows(questions.references, answers)))
    return build_generation_report(
        test=questions,
        answers=answers,
        cut=[each.finish_reason == "length" for each in written],
        token_figures=tokens.figures(),
        tokens=tokens,
        rivals=rivals,
        curves=judging.curves,
        cost=Cost(judging.train_seconds, milliseconds, judging.peak_memory_bytes),
        provenance=judging.provenance,
        seed=judging.recipe.seed,
    )
