"""Dataset -> DataReport: all problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import Facts, facts_of
from tunesmith.data.label_checks import (
    label_balance,
    label_variants,
    missing_labels,
    unknown_labels,
    without_labels,
)
from tunesmith.data.length_checks import length_problems
from tunesmith.data.near_checks import NearPair, NearTexts, near_texts
from tunesmith.data.text_checks import (
    TokenLengths,
    empty_texts,
    leaked_rows,
    leaks,
    repeats,
    token_lengths,
)
from tunesmith.data.trait_checks import trait_problems
from tunesmith.data.units import MOST_COMPARED
from tunesmith.data.writing_checks import example_faults, example_repeats, few_examples
from tunesmith.errors import DataError, Problem

__all__ = ["DataReport", "TokenLengths", "check", "with_problems", "with_tokens"]

_RANKS = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the data is like and what is wrong with it: errors first, then the most frequent first."""

    rows: int
    label_counts: dict[str, int]
    token_lengths: TokenLengths | None
    """None where no tokenizer was at hand."""
    duplicates: int
    """Rows whose text, and what is written whose completion too, stands in an earlier row."""
    leaks: int
    """Rows whose text also stands in a held-out set."""
    near_duplicates: int
    """Rows that say nearly what an earlier one does."""
    near_leaks: int
    """Held-out rows that say nearly what a row does."""
    near_pairs: tuple[NearPair, ...]
    """Some of both, with both texts."""
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether training may begin: nothing is worse than a warning."""
        return all(problem.severity != "error" for problem in self.problems)

    def raise_if_failed(self) -> DataReport:
        """Raise DataError with every error, or give the report back."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            raise DataError(errors)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON; without the pairs, since it travels with a model."""
        values = asdict(self) | {"problems": [asdict(problem) for problem in self.problems]}
        del values["near_pairs"]
        return {"ok": self.ok, **values}


def check(
    dataset: Dataset,
    *,
    held_out: Mapping[str, Dataset] | None = None,
    labels_given: bool = False,
    most_compared: int = MOST_COMPARED,
) -> DataReport:
    """Find everything that makes training data unfit, or likely to disappoint.

    `held_out` are the named sets of texts kept from training. `labels_given` says that the user listed the
    task's labels: those that look alike are then meant. Near-duplicates are looked for among at most
    `most_compared` texts, in about 300 bytes of memory each; 0: not at all. Lengths in tokens are added by
    `with_tokens`.
    """
    facts = facts_of(dataset)
    held = {name: facts_of(other) for name, other in (held_out or {}).items()}
    leaked = {name: leaked_rows(facts, other) for name, other in held.items()}
    problems = [*_own_problems(facts, labels_given), *_held_out_problems(facts, held)]
    for name, rows in leaked.items():
        problems += leaks(facts, name, rows)
    compared = most_compared and len(dataset) and not dataset.task.writes
    near = near_texts(facts, held, most_compared) if compared else NearTexts()
    problems += [*near.problems, *trait_problems(facts)]
    if not dataset.task.writes:
        problems += length_problems(facts)
    return DataReport(
        rows=len(dataset),
        label_counts=dataset.label_counts,
        token_lengths=None,
        duplicates=facts.repeated.size,
        leaks=np.unique(np.concatenate([np.arange(0), *leaked.values()])).size,
        near_duplicates=near.duplicates,
        near_leaks=near.leaks,
        near_pairs=near.pairs,
        problems=_in_order(problems),
    )


def with_tokens(
    report: DataReport, dataset: Dataset, tokens: npt.NDArray[np.int32], *, window: int | None = None
) -> DataReport:
    """The report with the lengths of the rows, `tokens` (rows,), and what is wrong with them.

    `window` is the most that a model reads.
    """
    if not len(dataset):
        return report
    lengths, problems = token_lengths(dataset, tokens, window)
    return with_problems(replace(report, token_lengths=lengths), problems)


def with_problems(report: DataReport, problems: Iterable[Problem]) -> DataReport:
    """The report with what was found elsewhere."""
    return replace(report, problems=_in_order([*report.problems, *problems]))


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (_RANKS[problem.severity], -problem.count)))


def _own_problems(facts: Facts, labels_given: bool) -> list[Problem]:
    task = facts.dataset.task
    problems = [*facts.dataset.problems, *_row_problems(facts, "the data")]
    if task.writes:
        return [*problems, *_writing_problems(facts)]
    if len(facts.dataset):
        problems += [*repeats(facts), *label_balance(facts)]
    if not labels_given:
        problems += label_variants(facts)
    if task.labels:
        problems += unknown_labels(facts, task.labels)
    return problems


def _writing_problems(facts: Facts) -> list[Problem]:
    return [*example_repeats(facts), *few_examples(facts.dataset)] if len(facts.dataset) else []


def _held_out_problems(train: Facts, held: Mapping[str, Facts]) -> list[Problem]:
    problems: list[Problem] = []
    trained = [label for label, count in train.counts.items() if count]
    for name, facts in held.items():
        problems += [*facts.dataset.problems, *_row_problems(facts, f"the {name} set")]
        if not facts.dataset.task.writes:
            problems += unknown_labels(facts, trained, whose="the training data")
    return problems


def _row_problems(facts: Facts, name: str) -> list[Problem]:
    if not len(facts.dataset):
        return [
            Problem("no-rows", f"{name} has no rows", "0 rows", "check the file, and what was left out of it")
        ]
    if facts.dataset.task.writes:
        return list(example_faults(facts))
    return [*empty_texts(facts), *missing_labels(facts), *without_labels(facts)]
