"""Prompting: the untuned base is shown a text and asked which label comes next, without or with examples.

What stands before every text (the names of the labels, the examples) is read once: its keys and values serve
all texts. Of each label the probability of the whole name counts, exact, and it is divided by what the same
prompt gives it for texts that say nothing: contextual calibration.
Source: Zhao, Wallace, Feng, Klein and Singh, Calibrate Before Use, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.evaluation.rival import FEW_SHOT, ZERO_SHOT, LeftOut, Rival, milliseconds_each
from tunesmith.evaluation.trial import Trial
from tunesmith.evaluation.types import Floats
from tunesmith.model.encode import Ids
from tunesmith.model.forward import softmax
from tunesmith.model.learner import Learner
from tunesmith.model.packed import Past, can_pack, read_past
from tunesmith.model.trie import log_likelihoods

__all__ = ["CONTENT_FREE", "Asking", "asking", "calibrated", "examples", "few_shot", "zero_shot"]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Texts that say nothing: what labels they get is the prompt's own leaning."""

# of the window, the most that label names and that all before the text may take
_SHARE_OF_NAMES, _SHARE_OF_PREFIX = 0.25, 0.5
_FEWEST_TEXT_TOKENS = 8
_MOST_SHOT_TOKENS = 64
_MOST_ROUNDS = 4
_MORE_THAN_ONE = "it asks which one label comes next, and here a text may have several"
_NO_HEAD = "the base has no head that writes"


@dataclass(frozen=True, slots=True)
class Asking:
    """A prompt for all texts: token ids of what stands before each, and of the labels' names."""

    learner: Learner
    prefix: Ids
    names: tuple[Ids, ...]
    """Each ends with a line, so that none is the beginning of another"""
    before: Ids
    after: Ids
    """What stands on either side of a text"""
    max_text_tokens: int
    micro_batch_tokens: int

    def read(self) -> Past | None:
        """The keys and values of the prefix; None where the architecture is not known."""
        import torch

        if not can_pack(self.learner.model):
            return None
        self.learner.model.eval()
        with torch.inference_mode():
            return read_past(self.learner.model, self.prefix)

    def log_likelihoods(self, texts: Sequence[str], past: Past | None) -> Floats:
        """(texts, labels) in nats; without `past` the prefix is read anew with every text."""
        bodies = _tokenised(self.learner, [_one_line(text) for text in texts])
        start = np.zeros(0, np.int32) if past else self.prefix
        prompts = [
            np.concatenate([start, self.before, body[: self.max_text_tokens], self.after]) for body in bodies
        ]
        pad_token_id = self.learner.tokenizer.pad_token_id
        return log_likelihoods(
            self.learner.model, prompts, self.names, pad_token_id, self.micro_batch_tokens, past
        )


def zero_shot(trial: Trial) -> Rival:
    """Ask with no more than the names of the labels; raise LeftOut where that cannot be done."""
    how = "is the untuned base, asked which label comes next"
    return _answered(trial, ZERO_SHOT, how, asking(trial))


def few_shot(trial: Trial) -> Rival:
    """Ask after examples from the training rows, as many of each label; raise LeftOut where none fit."""
    shots = examples(trial)
    how = f"is the same after {len(shots)} examples from the training rows"
    return _answered(trial, FEW_SHOT, how, asking(trial, shots))


def _answered(trial: Trial, name: str, how: str, prompt: Asking) -> Rival:
    budget, texts = trial.budget, trial.test.texts
    budget.allow_any()
    start = budget.clock()
    past = prompt.read()
    leaning = prompt.log_likelihoods(CONTENT_FREE, past)
    prepared = budget.clock()
    found = budget.rows(len(texts), lambda at: prompt.log_likelihoods(texts[at], past), trial.on_rows)
    per_text = milliseconds_each(budget.clock() - prepared, len(texts))
    how = f"{how}, calibrated by texts that say nothing"
    answers = calibrated(found, leaning)
    return Rival(name, how, answers, prepared - start, per_text, size_bytes=trial.learner.size_bytes)


def calibrated(log_likelihoods: Floats, leaning: Floats) -> Floats:
    """(texts, labels) probabilities, each divided by its mean among texts that say nothing."""
    from scipy.special import logsumexp

    shares = leaning - logsumexp(leaning, axis=1, keepdims=True)
    return softmax(log_likelihoods - logsumexp(shares, axis=0))


def _refuse_unless_asked(trial: Trial) -> None:
    if trial.train.task.kind == "multi_label":
        raise LeftOut(_MORE_THAN_ONE)
    if trial.learner.model.get_output_embeddings() is None:
        raise LeftOut(_NO_HEAD)


def asking(trial: Trial, shots: Sequence[Ids] = ()) -> Asking:
    """The prompt; raise LeftOut where it leaves no room for a text."""
    _refuse_unless_asked(trial)
    learner, labels = trial.learner, trial.train.task.labels
    before, after, line = _around(learner)
    names = tuple(np.concatenate([name, line]) for name in _names(learner, labels))
    prefix = np.concatenate([_beginning(learner, labels), *shots])
    taken = len(prefix) + len(before) + len(after) + max(map(len, names))
    room = min(trial.max_tokens, learner.window - taken)
    if room < _FEWEST_TEXT_TOKENS:
        raise LeftOut(f"the labels leave no room for a text in the {learner.window:,} tokens of the base")
    return Asking(learner, prefix, names, before, after, room, trial.micro_batch_tokens)


def _beginning(learner: Learner, labels: Sequence[str]) -> Ids:
    """The token that begins texts, where there is one, and the names of the labels, where there is room."""
    first = learner.tokenizer.bos_token_id
    begin = np.asarray([] if first is None else [first], np.int32)
    listed = f"Labels: {', '.join(map(_one_line, labels))}.\n\n"
    (names,) = _tokenised(learner, [listed], lead="")
    fits = len(names) <= _SHARE_OF_NAMES * learner.window
    # something has to stand before the first text
    return np.concatenate([begin, names]) if fits or not len(begin) else begin


def examples(trial: Trial) -> list[Ids]:
    """As many of each label that there is, drawn and ordered by the seed; raise LeftOut where none fit."""
    _refuse_unless_asked(trial)
    learner, train = trial.learner, trial.train
    names = _names(learner, train.task.labels)
    before, after, line = _around(learner)
    rows = _rounds(train, trial.seed)
    room = _SHARE_OF_PREFIX * learner.window - len(_beginning(learner, train.task.labels))
    around = len(before) + len(after) + max(map(len, names)) + 2 * len(line)
    most = min(_MOST_SHOT_TOKENS, int(room / len(rows[0])) - around)
    if most < _FEWEST_TEXT_TOKENS:
        what = f"an example of each of {len(rows[0]):,} labels"
        raise LeftOut(f"{what} would not fit into half of the {learner.window:,} tokens of the base")
    shots: list[Ids] = []
    for taken in rows:
        some = train.take(taken)
        bodies = _tokenised(learner, [_one_line(text) for text in some.texts])
        more = [
            np.concatenate([before, body[:most], after, names[label], line, line])
            for body, label in zip(bodies, some.label_ids, strict=True)
        ]
        if sum(map(len, [*shots, *more])) > room:
            break
        shots += more
    return shots


def _rounds(train: Dataset, seed: int) -> list[list[int]]:
    """Rows in rounds, in each of which every label that there is has one."""
    draw, ids = np.random.default_rng(seed), train.label_ids
    drawn = [draw.permutation(np.flatnonzero(ids == label))[:_MOST_ROUNDS] for label in np.unique(ids)]
    rounds = min(map(len, drawn))
    return [draw.permutation([rows[place] for rows in drawn]).tolist() for place in range(rounds)]


def _names(learner: Learner, labels: Sequence[str]) -> list[Ids]:
    plain = [_one_line(label) for label in labels]
    if len(set(plain)) < len(plain):
        raise LeftOut("two labels differ by nothing but white space")
    return _tokenised(learner, plain)


def _around(learner: Learner) -> tuple[Ids, Ids, Ids]:
    """What stands before a text, what after it, and the end of a line."""
    before, after, line = _tokenised(learner, ["Text:", "\nLabel:", "\n"], lead="")
    return before, after, line


def _one_line(text: str) -> str:
    return " ".join(without_bad_chars(text)[0].split())


def _tokenised(learner: Learner, texts: Sequence[str], lead: str = " ") -> list[Ids]:
    """The ids of each piece, tokenised on its own: what is shared has the same ids before every text."""
    found = learner.tokenizer(
        [f"{lead}{text}" if text else "" for text in texts],
        add_special_tokens=False,
        truncation=False,
        verbose=False,
    )
    return [np.asarray(ids, np.int32) for ids in found["input_ids"]]
