"""Probe: a logistic regression on what the untuned base makes of each text's last token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.regression import FOLDS, learn, teaches
from tunesmith.evaluation.rival import PROBE, LeftOut, Rival, milliseconds_each, of_how_many
from tunesmith.evaluation.trial import Trial
from tunesmith.evaluation.types import Floats
from tunesmith.model.encode import encode, micro_batches
from tunesmith.model.forward import batch_features
from tunesmith.model.packed import can_pack

__all__ = ["features_of_texts", "probe"]

# of features that have unit variance
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_CHOICE_ROWS = 2_000
_MOST_ROWS = 10_000
_FEWEST_ROWS_PER_LABEL = 4
# what a fit takes is told from so many rows
_PIECE = 128
# of what is left when the test rows are read, the part in which training rows are read
_SHARE_FOR_READING = 0.5


def probe(trial: Trial) -> Rival:
    """Fit it on as many training rows as the budget allows; raise LeftOut where it allows too few."""
    if not teaches(trial.train):
        raise LeftOut("there is nothing to learn: one label, or no words")
    clock, began = trial.budget.clock, trial.budget.clock()
    asked = _read(trial, list(chain.from_iterable(trial.test.text_batches())), trial.on_rows)
    reading, began = clock() - began, clock()
    learned = _affordable(trial, reading / len(trial.test))
    features = _read(trial, learned.texts)
    if not np.isfinite(features).all():
        raise LeftOut("what the base makes of the texts are no finite numbers")
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    features = (features - mean) / spread
    _refuse_if_too_long(features, learned, trial)
    fitted = learn(features, learned, trial.seed, _STRENGTHS, _CHOICE_ROWS)
    trained, began = clock() - began, clock()
    probabilities, given = fitted.answer((asked - mean) / spread)
    per_text = milliseconds_each(reading + clock() - began, len(trial.test))
    how = (
        "learns a logistic regression on what the untuned base makes of each text's last token"
        f" {fitted.how}{of_how_many(learned, trial.train)}"
    )
    size = trial.learner.size_bytes + fitted.size_bytes + 8 * len(mean)
    return Rival(PROBE, how, probabilities, trained, per_text, given, size)


def _read(
    trial: Trial, texts: Sequence[str], on_rows: Callable[[int, int], None] = lambda _done, _total: None
) -> Floats:
    """(texts, width) features, as long as the budget lasts."""
    found: Floats = trial.budget.rows(len(texts), lambda at: features_of_texts(trial, texts[at]), on_rows)
    return found


def _affordable(trial: Trial, seconds_each: float) -> Dataset:
    """The rows that can be read in the time; raise LeftOut where these are too few."""
    train, budget = trial.train, trial.budget
    rows = min(_MOST_ROWS, len(train))
    if seconds_each > 0:
        rows = int(min(rows, _SHARE_FOR_READING * budget.left / seconds_each))
    if rows < min(len(train), _FEWEST_ROWS_PER_LABEL * len(train.task.labels)):
        budget.allow(seconds_each * len(train))
        raise LeftOut(f"only {rows:,} training rows could have been read in time (`rival_seconds`)")
    return train.drawn(rows, trial.seed)


def _refuse_if_too_long(features: Floats, rows: Dataset, trial: Trial) -> None:
    """Raise LeftOut where the fits, of which a few rows give an idea, would take too long."""
    if len(rows) <= _PIECE:
        return
    piece = np.sort(np.random.default_rng(trial.seed).choice(len(rows), _PIECE, replace=False))
    some = rows.take(piece)
    if not teaches(some):
        return
    began = trial.budget.clock()
    learn(features[piece], some, trial.seed, _STRENGTHS, _PIECE)
    of_piece = trial.budget.clock() - began
    chosen = len(_STRENGTHS) * (FOLDS - 1)
    whole = (min(len(rows), _CHOICE_ROWS) * chosen + len(rows)) / (_PIECE * (chosen + 1))
    trial.budget.allow(of_piece * whole)


def features_of_texts(trial: Trial, texts: Sequence[str]) -> Floats:
    """(texts, width) what a head would read of each text, whatever the model's own head."""
    import torch

    learner = trial.learner
    model, tokenizer = learner.model, learner.tokenizer
    model.eval()
    encoded = encode(tokenizer, texts, min(trial.max_tokens, learner.window))
    groups = micro_batches(encoded.lengths, trial.micro_batch_tokens, packed=can_pack(model))
    with torch.inference_mode():
        states = [
            batch_features(model, [encoded[row] for row in rows], tokenizer.pad_token_id) for rows in groups
        ]
        features = torch.cat(states).float().cpu().numpy()
    found = np.empty_like(features)
    found[np.concatenate(groups)] = features
    return found
