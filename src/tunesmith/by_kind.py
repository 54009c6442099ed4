"""What the kind of a task decides: the objective, how training is judged, the rivals and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.multilabel import measure_labels
from tunesmith.evaluation.multilabel_report import build_multilabel_report
from tunesmith.evaluation.multilabel_rivals import run_multilabel_rivals
from tunesmith.evaluation.report import build_report
from tunesmith.evaluation.rivals import Rival, run_rivals
from tunesmith.evaluation.types import Report
from tunesmith.model.encode import Encoded
from tunesmith.model.forward import Floats
from tunesmith.model.load import Classifier
from tunesmith.model.thresholds import fit_thresholds
from tunesmith.predict import Predictor
from tunesmith.processes import ALONE, Processes
from tunesmith.training.objective import (
    Classification,
    LabelObjective,
    MultiLabelClassification,
    label_weights,
    positive_weights,
)
from tunesmith.training.start import start_at_shares

__all__ = [
    "objective_for",
    "report_for",
    "rivals_for",
    "start",
    "validation_for",
    "weights_for",
    "with_thresholds",
]


def start(classifier: Classifier, encoded: Encoded, train: Dataset) -> None:
    """Move the head of a multi-label model to where it should start; a single-label one starts as it is."""
    if train.task.kind == "multi_label":
        start_at_shares(classifier, encoded, train.label_matrix)


def weights_for(train: Dataset, *, weighted: bool) -> Floats:
    """(labels,) how much each label counts: rare ones for more, where `weighted`."""
    if not weighted:
        return np.ones(len(train.task.labels))
    match train.task.kind:
        case "single_label":
            return label_weights(train.label_ids, len(train.task.labels))
        case "multi_label":
            return positive_weights(train.label_matrix)


def objective_for(
    classifier: Classifier, encoded: Encoded, dataset: Dataset, weights: Floats
) -> LabelObjective:
    """What the model is trained on; `weights` are those of the training rows."""
    pad_token_id = classifier.tokenizer.pad_token_id
    match dataset.task.kind:
        case "single_label":
            return Classification(encoded, dataset.label_ids, pad_token_id, weights)
        case "multi_label":
            return MultiLabelClassification(encoded, dataset.label_matrix, pad_token_id, weights)


def validation_for(
    predictor: Predictor, encoded: Encoded, validation: Dataset, processes: Processes = ALONE
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


def with_thresholds(
    predictor: Predictor, encoded: Encoded, validation: Dataset, processes: Processes = ALONE
) -> Predictor:
    """The predictor with thresholds fitted on the validation rows, where the task has any."""
    if validation.task.kind == "single_label":
        return predictor
    probabilities = predictor.probabilities(encoded, processes=processes)
    thresholds = fit_thresholds(validation.label_matrix, probabilities)
    return Predictor(predictor.classifier, predictor.max_tokens, predictor.micro_batch_tokens, thresholds)


def rivals_for(train: Dataset, test: Dataset, seed: int) -> tuple[Rival, ...]:
    """The cheap methods on the same split."""
    run = run_multilabel_rivals if train.task.kind == "multi_label" else run_rivals
    return run(train, test, seed)


def report_for(
    predictor: Predictor, test: Dataset, probabilities: Any, rivals: Sequence[Rival], **others: Any
) -> Report:
    """The report on the test rows; `others` are what `build_report` takes besides."""
    same = {"test": test, "probabilities": probabilities, "rivals": rivals, **others}
    match test.task.kind:
        case "single_label":
            return build_report(**same)
        case "multi_label":
            return build_multilabel_report(thresholds=predictor.thresholds, **same)
