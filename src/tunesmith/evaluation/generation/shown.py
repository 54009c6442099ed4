"""Which answers a report shows, and how long answers and references are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.evaluation.examples import chosen_rows
from tunesmith.evaluation.generation.questions import Questions
from tunesmith.evaluation.generation.types import LengthBin, Lengths, WrittenExample
from tunesmith.evaluation.generation.words import words
from tunesmith.evaluation.types import Floats, Ints

__all__ = ["choose_examples", "measure_lengths"]

_MOST_BINS = 14
# the longest few would leave all others in one bin
_SHOWN_SHARE = 0.98


def choose_examples(
    test: Questions, answers: Sequence[str], rouge_l: Floats, *, each: int, seed: int
) -> tuple[WrittenExample, ...]:
    """`each` of random, the worst and the best ones, fewer of few rows; no row twice, rouge_l is (rows,)."""
    lengths = np.asarray([len(reference) for reference in test.references])
    # a long answer that is right says more than a short one; one that is wrong, too
    best = np.lexsort((-lengths, -rouge_l)).tolist()
    worst = np.lexsort((-lengths, rouge_l)).tolist()
    return tuple(
        WrittenExample(
            test.prompts[row],
            test.references[row],
            answers[row],
            test.where[row],
            float(rouge_l[row]),
            chosen,
        )
        for row, chosen in chosen_rows(worst, best, each=each, seed=seed).items()
    )


def measure_lengths(references: Sequence[str], answers: Sequence[str], cut: Sequence[bool] | None) -> Lengths:
    """Words of both, in bins of one round width; the last bin has what is longer."""
    of_references, of_answers = (
        np.asarray([len(words(text)) for text in texts]) for texts in (references, answers)
    )
    return Lengths(
        bins=_bins(of_answers, of_references),
        answer_mean=float(of_answers.mean()),
        answer_median=float(np.median(of_answers)),
        answer_longest=int(of_answers.max()),
        reference_mean=float(of_references.mean()),
        reference_median=float(np.median(of_references)),
        reference_longest=int(of_references.max()),
        empty=sum(not text.strip() for text in answers),
        cut=None if cut is None else sum(cut),
    )


def _bins(answers: Ints, references: Ints) -> tuple[LengthBin, ...]:
    both = np.concatenate([answers, references])
    width = _width(int(np.quantile(both, _SHOWN_SHARE)) + 1)
    last = min(_MOST_BINS, int(both.max()) // width + 1) - 1
    counted = [
        np.bincount(np.minimum(lengths // width, last), minlength=last + 1).tolist()
        for lengths in (answers, references)
    ]
    ends = [(index + 1) * width for index in range(last + 1)]
    return tuple(
        LengthBin(end - width, None if end == ends[-1] <= both.max() else end, *rows)
        for end, *rows in zip(ends, *counted, strict=True)
    )


def _width(longest: int) -> int:
    """The smallest round width with which few bins hold `longest`."""
    width = 1
    while width * _MOST_BINS < longest:
        width = _next_round(width)
    return width


def _next_round(width: int) -> int:
    """1, 2, 5, 10, 20, 50 …"""
    return width * 5 // 2 if str(width).startswith("2") else width * 2
