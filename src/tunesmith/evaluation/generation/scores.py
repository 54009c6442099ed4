"""References and answers -> numbers, of a test and of thousands of resamples of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.evaluation.generation.corpus import CorpusScore, corpus_scores
from tunesmith.evaluation.generation.words import rouge_l, word_f1
from tunesmith.evaluation.intervals import RESAMPLES, Resampled, collected, count_ids, draw
from tunesmith.evaluation.metrics import Counts, averages, label_scores, resampled_label_scores
from tunesmith.evaluation.types import Floats, Ints
from tunesmith.model.language import TokenSums

__all__ = ["Measured", "ScoreCorpus", "few_values", "measure_answers", "score_rows"]

ScoreCorpus = Callable[[Sequence[str], Sequence[str]], tuple[CorpusScore, ...]]

_MOST_VALUES = 50
_ROWS_EACH = 2


def few_values(references: Sequence[str]) -> tuple[str, ...]:
    """The values of the references, sorted, where they are few: at most 50, each in two rows on average."""
    values = sorted({text.strip() for text in references})
    few = 2 <= len(values) <= _MOST_VALUES and len(references) >= _ROWS_EACH * len(values)
    return tuple(values) if few else ()


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """Answers as labels: ids (rows,) among `labels` values; `labels` itself is the id of any other answer."""

    truth: Ints
    given: Ints
    labels: int

    @property
    def hits(self) -> Ints:
        return np.where(self.truth == self.given, self.truth, self.labels)

    def count(self, draws: Ints) -> Counts:
        """Rows by value in each resample, (resamples, labels)."""
        bins = (count_ids(ids, draws, self.labels + 1) for ids in (self.hits, self.truth, self.given))
        return Counts(*(each[:, : self.labels] for each in bins))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one method's answers score: by row (rows,), by corpus, and where targets are few, by value."""

    by_row: dict[str, Floats]
    corpora: tuple[CorpusScore, ...]
    values: _Values | None
    tokens: TokenSums | None = None
    """What a model made of the learned tokens of each row, where that was measured"""

    @property
    def rows(self) -> int:
        """The number of answers."""
        return len(self.by_row["rouge_l"])

    @property
    def outside(self) -> int:
        """The answers that are none of the few values."""
        return 0 if self.values is None else int((self.values.given == self.values.labels).sum())

    @property
    def counts(self) -> Counts | None:
        """Rows by value, (labels,), where the targets are few."""
        if self.values is None:
            return None
        counts = self.values.count(np.arange(self.rows)[None])
        return Counts(counts.hits[0], counts.truth[0], counts.predicted[0])

    @property
    def metrics(self) -> dict[str, float]:
        """Every score of the whole test."""
        found = {name: float(values.mean()) for name, values in self.by_row.items()}
        found |= {each.key: each.of(each.statistics.sum(axis=0)) for each in self.corpora}
        found |= self.tokens.figures() if self.tokens is not None else {}
        if (counts := self.counts) is not None:
            means = averages(label_scores(counts), counts)
            found |= {name: float(means[name]) for name in ("accuracy", "macro_f1")}
        return found

    def resample(self, *, seed: int, resamples: int = RESAMPLES) -> Resampled:
        """Every score of every resample; draws depend on rows and seed alone, so methods are paired."""
        parts, per_value, whole = [], [], self.counts
        for draws in draw(self.rows, self.rows, seed, resamples):
            times: Floats = count_ids(np.arange(self.rows), draws, self.rows).astype(np.float64)
            found: dict[str, Floats] = {
                name: times @ values / self.rows for name, values in self.by_row.items()
            }
            found |= {each.key: _totals(each, times) for each in self.corpora}
            found |= _resampled_tokens(self.tokens, times)
            if self.values is not None and whole is not None:
                counts = self.values.count(draws)
                per_value.append(resampled_label_scores(counts, whole))
                means = averages(per_value[-1], counts)
                found |= {name: means[name] for name in ("accuracy", "macro_f1")}
            parts.append(found)
        return collected(parts, per_value, whole)


def _resampled_tokens(tokens: TokenSums | None, times: Floats) -> dict[str, Floats]:
    """Token figures of each resample; one that drew no learned token has those of the whole test."""
    if tokens is None:
        return {}
    counts, losses, correct = (times @ each for each in (tokens.tokens, tokens.log_loss, tokens.correct))
    whole = tokens.figures()
    some = counts > 0
    counts = np.maximum(counts, 1)
    log_loss = np.where(some, losses / counts, whole["log_loss"])
    return {
        "token_accuracy": np.where(some, correct / counts, whole["token_accuracy"]),
        "log_loss": log_loss,
        # what is finite stays finite
        "perplexity": np.exp(np.minimum(log_loss, 700.0)),
    }


def _totals(score: CorpusScore, times: Floats) -> Floats:
    """The score of each resample, (resamples,); `times` (resamples, rows) says how often a row was drawn."""
    return np.asarray([score.of(sums) for sums in times @ score.statistics])


def measure_answers(
    references: Sequence[str],
    answers: Sequence[str],
    values: Sequence[str] = (),
    *,
    tokens: TokenSums | None = None,
    score_corpus: ScoreCorpus = corpus_scores,
) -> Measured:
    """Score answers (rows,) against references (rows,).

    rouge_l and word_f1; exact_match, white space around aside; exact_match_folded, also upper and lower case
    aside; chrf and bleu where they can be had; accuracy and macro_f1 where `values` lists all references;
    what follows from `tokens`, where they are given.
    """
    assert len(references) == len(answers), "one answer a row"
    assert len(references), "at least one test row is needed"
    pairs = _stripped(references, answers)
    by_row = score_rows(references, answers)
    stripped = [list(side) for side in zip(*pairs, strict=True)]
    return Measured(by_row, score_corpus(*stripped), _as_values(pairs, values), tokens)


def _stripped(references: Sequence[str], answers: Sequence[str]) -> list[tuple[str, str]]:
    return [(one.strip(), other.strip()) for one, other in zip(references, answers, strict=True)]


def score_rows(references: Sequence[str], answers: Sequence[str]) -> dict[str, Floats]:
    """The scores that every answer has of its own: name -> (rows,)."""
    pairs = _stripped(references, answers)
    return {
        "rouge_l": np.asarray([rouge_l(*pair) for pair in pairs]),
        "word_f1": np.asarray([word_f1(*pair) for pair in pairs]),
        "exact_match": np.asarray([float(one == other) for one, other in pairs]),
        "exact_match_folded": np.asarray([float(one.casefold() == other.casefold()) for one, other in pairs]),
    }


def _as_values(pairs: Sequence[tuple[str, str]], values: Sequence[str]) -> _Values | None:
    if not values:
        return None
    ids = {value: index for index, value in enumerate(values)}
    truth = np.asarray([ids[reference] for reference, _ in pairs], np.int64)
    given = np.asarray([ids.get(answer, len(ids)) for _, answer in pairs], np.int64)
    return _Values(truth, given, len(ids))
