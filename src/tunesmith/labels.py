"""Tasks that give labels, one or any number: their base, what is learned, how it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from tunesmith.data.check import DataReport, with_tokens
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.errors import BaseError
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.multilabel import measure_labels
from tunesmith.evaluation.multilabel_report import build_multilabel_report
from tunesmith.evaluation.predictions import label_predictions
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rival import LeftOut, Rival
from tunesmith.evaluation.rivals import run_rivals
from tunesmith.evaluation.types import Cost, NotRun, Report
from tunesmith.evaluation.understanding.understood import understood
from tunesmith.evaluation.untuned import UntunedBase
from tunesmith.evaluation.wording import memory
from tunesmith.lesson import Judging, Lesson, OnAnswer
from tunesmith.model.calibration import FEWEST_ROWS, cool, fit_label_temperature, fit_temperature
from tunesmith.model.encode import Encoded
from tunesmith.model.forward import Floats, sigmoid, softmax
from tunesmith.model.generator import load_generator
from tunesmith.model.learner import Learner, bytes_needed
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.model.selection import fit_goals
from tunesmith.model.thresholds import Thresholds, fit_thresholds
from tunesmith.model.tokens import encode_dataset
from tunesmith.predict import Predictor, in_chunks
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.training.augmentation import Augmentation
from tunesmith.training.memory import free_bytes
from tunesmith.training.methods import place, quantization_of
from tunesmith.training.objective import (
    Classification,
    LabelObjective,
    MultiLabelClassification,
    label_weights,
    positive_weights,
)
from tunesmith.training.qlora import refuse_without_qlora
from tunesmith.training.start import start_at_shares

__all__ = [
    "answer_rows",
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

# token ids of more test texts need not be held at once
_JUDGED_AT_ONCE = 1 << 16
# the weights of a base, and what reading with it takes beside them
_MEMORY_OF_BASE = 1.5


def load_base(recipe: Recipe, train: Dataset) -> Classifier:
    """The recipe's base with a head for the labels."""
    return load_classifier(
        recipe.base,
        train.task.labels,
        kind=train.task.kind,
        revision=recipe.revision,
        seed=recipe.seed,
        dropout=recipe.dropout,
        quantization=quantization_of(recipe),
    )


def token_report(report: DataReport, dataset: Dataset, tokenizer: Any, window: int) -> DataReport:
    """The report with the lengths of the texts."""
    tokens = encode_dataset(tokenizer, dataset, window)
    return with_tokens(report, dataset, (tokens.lengths + tokens.cut).astype(np.int32), window=window)


def label_counts(train: Dataset) -> tuple[int, ...]:
    """The rows of each label, where weights can make up for rare ones; of several labels, thresholds do."""
    return tuple(train.label_counts.values()) if train.task.kind == "single_label" else ()


def lesson(
    classifier: Classifier,
    recipe: Recipe,
    splits: Splits,
    processes: Processes,
    example_weights: tuple[Floats, Floats] | None = None,
) -> Lesson:
    """What is learned from the training rows, and judged on the validation rows by all processes.

    `example_weights` say how much each training and each validation row counts in its loss, where a row has
    one label; all figures on the validation rows count each once.
    """
    assert recipe.target_replication is not None
    assert recipe.token_dropout is not None
    learner = _untrained(classifier, recipe)
    train, held_out = (
        encode_dataset(classifier.tokenizer, part, learner.max_tokens)
        for part in (splits.train, splits.validation)
    )
    counted, judged_by = example_weights or (None, None)
    weights = _weights(splits.train, counted, weighted=recipe.class_weights == "auto")
    if splits.train.task.kind == "multi_label":
        start_at_shares(classifier, train, splits.train.label_matrix)
    augmentation = Augmentation(recipe.target_replication, recipe.token_dropout)
    objective = _objective(classifier, train, splits.train, weights, augmentation, counted)
    if not len(splits.validation):
        return Lesson(objective)
    return Lesson(
        objective,
        _objective(classifier, held_out, splits.validation, weights, example_weights=judged_by),
        _validation(learner, held_out, splits.validation, processes),
    )


def _untrained(classifier: Classifier, recipe: Recipe) -> Predictor:
    assert recipe.max_tokens is not None
    return Predictor(classifier, recipe.max_tokens, recipe.micro_batch_tokens)


def answerer(classifier: Classifier, recipe: Recipe, splits: Splits) -> Predictor:
    """What answers with the trained classifier, calibrated on the validation rows.

    The head is divided by a temperature; then thresholds are fitted, or where a text has one label, from
    which confidence on answers are how often right.
    """
    found, validation = _untrained(classifier, recipe), splits.validation
    if not len(validation):
        return found
    encoded = encode_dataset(classifier.tokenizer, validation, found.max_tokens)
    logits, calibration = _calibrated(classifier, validation, found.logits(encoded))
    if validation.task.kind == "multi_label":
        fitted = fit_thresholds(validation.label_matrix, sigmoid(logits))
        found = Predictor(classifier, found.max_tokens, found.micro_batch_tokens, fitted)
    elif calibration:
        probabilities = softmax(logits)
        right = probabilities.argmax(axis=1) == validation.label_ids
        found.goals = fit_goals(probabilities.max(axis=1), right)
    found.calibration = calibration
    return found


def _calibrated(classifier: Classifier, validation: Dataset, logits: Floats) -> tuple[Floats, str]:
    """The logits once the head is divided by its temperature, and how that was done; of few rows, neither."""
    if len(validation) < FEWEST_ROWS:
        return logits, ""
    several = validation.task.kind == "multi_label"
    temperature = (
        fit_label_temperature(logits, validation.label_matrix)
        if several
        else fit_temperature(logits, validation.label_ids)
    )
    cool(classifier.model.score, temperature)
    return logits / temperature, f"{temperature:.3f}, fitted on {len(validation):,} validation rows"


def answer_tokens(_train: Dataset, _tokenizer: Any) -> int:
    """0: nothing is written."""
    return 0


def judged(test: Dataset, _recipe: Recipe) -> Dataset:
    """The test rows that are answered: all of them."""
    return test


def thresholds(predictor: Predictor) -> Thresholds:
    """From which probability on a label is given."""
    return predictor.thresholds


def rivals(recipe: Recipe, train: Dataset, test: Dataset, on_answer: OnAnswer) -> tuple[Rival | NotRun, ...]:
    """The cheap methods on the same split, in the time that the recipe gives them."""
    assert recipe.max_tokens is not None

    def load() -> Learner:
        if recipe.method == "qlora":
            # a model is judged anew on a machine that may not hold a base in 4 bits
            refuse_without_qlora()
        _refuse_without_memory(recipe)
        learner = _untuned(recipe, train)
        place(learner.model)
        return learner

    base = UntunedBase(load, recipe.max_tokens, recipe.micro_batch_tokens, on_answer)
    return run_rivals(train, test, recipe.seed, base=base, budget=Budget(recipe.rival_seconds))


def _refuse_without_memory(recipe: Recipe, free_bytes: Callable[[], int] = free_bytes) -> None:
    """Raise LeftOut where memory does not hold the base beside the model that was trained from it."""
    if quantization_of(recipe) is not None:
        return
    needed, free = _MEMORY_OF_BASE * bytes_needed(recipe.base, revision=recipe.revision), free_bytes()
    if needed > free:
        raise LeftOut(f"a second copy of the base needs {memory(round(needed))}, and {memory(free)} are free")


def _untuned(recipe: Recipe, train: Dataset) -> Learner:
    """The base with its own head, or where that does not write, with any."""
    try:
        return load_generator(
            recipe.base, revision=recipe.revision, seed=recipe.seed, quantization=quantization_of(recipe)
        )
    except BaseError as error:
        if error.problems[0].code != "no-language-head":
            raise
        return load_base(recipe, train)


def rival(
    name: str,
    how: str,
    predictor: Predictor,
    test: Dataset,
    _on_answer: OnAnswer,
    train_seconds: float,
    _recipe: Recipe,
) -> Rival:
    """Another trained model's answers to the test rows, as a rival."""
    probabilities, _, milliseconds = answer_rows(predictor, test)
    given = predictor.thresholds.given(probabilities) if test.task.kind == "multi_label" else None
    return Rival(name, how, probabilities, train_seconds, milliseconds, given)


def answer_rows(predictor: Predictor, test: Dataset) -> tuple[Floats, Any, float]:
    """(rows, labels) probabilities, (rows,) whether a text was cut, and the milliseconds that one took."""
    started = time.perf_counter()
    chunks = in_chunks(chain.from_iterable(test.text_batches()), _JUDGED_AT_ONCE)
    answers = [(predictor.probabilities(each), each.truncated) for each in map(predictor.encode, chunks)]
    probabilities, truncated = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return probabilities, truncated, 1000 * (time.perf_counter() - started) / len(test)


def judge(predictor: Predictor, test: Dataset, rivals: Sequence[Rival | NotRun], judging: Judging) -> Report:
    """The report on the test rows."""
    not_run = tuple(rival for rival in rivals if isinstance(rival, NotRun))
    probabilities, truncated, milliseconds = answer_rows(predictor, test)
    same: dict[str, Any] = {
        "test": test,
        "probabilities": probabilities,
        "rivals": [rival for rival in rivals if isinstance(rival, Rival)],
        "curves": judging.curves,
        "cost": Cost(judging.train_seconds, milliseconds, judging.peak_memory_bytes, predictor.size_bytes),
        "provenance": dict(judging.provenance)
        | ({"temperature": predictor.calibration} if predictor.calibration else {}),
        "seed": judging.recipe.seed,
    }
    several = test.task.kind == "multi_label"
    if judging.keep is not None:
        given = predictor.thresholds.given(probabilities) if several else None
        judging.keep(label_predictions(test, probabilities, given))
    if several:
        report = build_multilabel_report(thresholds=predictor.thresholds, **same)
    else:
        report = build_report(**same)
    told = understood(
        predictor,
        test,
        probabilities,
        truncated,
        report.mistakes,
        judging.asked,
        judging.recipe.seed,
        judging.on_answer,
    )
    return replace(report, not_run=not_run, understanding=told)


def _weights(train: Dataset, example_weights: Floats | None, *, weighted: bool) -> Floats:
    """(labels,) how much each label counts: rare ones for more, where `weighted`."""
    if not weighted:
        return np.ones(len(train.task.labels))
    if train.task.kind == "single_label":
        return label_weights(train.label_ids, len(train.task.labels), example_weights)
    return positive_weights(train.label_matrix)


def _objective(
    classifier: Classifier,
    encoded: Encoded,
    dataset: Dataset,
    weights: Floats,
    augmentation: Augmentation | None = None,
    example_weights: Floats | None = None,
) -> LabelObjective:
    pad_token_id, augmentation = classifier.tokenizer.pad_token_id, augmentation or Augmentation()
    if dataset.task.kind == "single_label":
        ids = dataset.label_ids
        return Classification(encoded, ids, pad_token_id, weights, augmentation, example_weights)
    assert example_weights is None, "only rows with one label each are weighed"
    return MultiLabelClassification(encoded, dataset.label_matrix, pad_token_id, weights, augmentation)


def _validation(
    predictor: Predictor, encoded: Encoded, validation: Dataset, processes: Processes
) -> Callable[[Any], Mapping[str, float]]:
    """What judges the weights while they are trained: their figures on the validation rows."""
    figures_of = _label_figures if validation.task.kind == "multi_label" else _figures
    truth = validation.label_matrix if validation.task.kind == "multi_label" else validation.label_ids
    # as the training loss: summed over the labels of a row
    losses = len(predictor.labels) if validation.task.kind == "multi_label" else 1

    def evaluate(model: Any) -> dict[str, float]:
        probabilities = predictor.probabilities(encoded, model=model, processes=processes)
        figures, beside = figures_of(np.asarray(truth), probabilities)
        # macro-F1 chooses the best weights; on small sets it often ties, and then the loss decides
        score = figures["macro_f1"] - 1e-3 * figures["log_loss"]
        chosen = {name: figures[name] for name in ("macro_f1", beside)}
        return {"score": score, "validation_loss": losses * figures["log_loss"], **chosen}

    return evaluate


def _figures(truth: Any, probabilities: Any) -> tuple[dict[str, float], str]:
    return measure(truth, probabilities), "accuracy"


def _label_figures(truth: Any, probabilities: Any) -> tuple[dict[str, float], str]:
    given = fit_thresholds(truth, probabilities).given(probabilities)
    return measure_labels(truth, probabilities, given), "micro_f1"
