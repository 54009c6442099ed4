"""What is wrong with the labels of a dataset, or looks as if it were."""

from __future__ import annotations

import difflib
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from tunesmith.data.facts import Facts
from tunesmith.data.problems import grouped, shown, shown_target
from tunesmith.errors import Problem, Severity

__all__ = [
    "label_balance",
    "label_groups",
    "label_variants",
    "missing_labels",
    "unknown_labels",
    "without_labels",
]

_FEWEST_EXAMPLES = 8
_MOST_IMBALANCE = 10
_MOST_TOLD = 20
_TOLD_RARE = 5


def missing_labels(facts: Facts) -> Iterator[Problem]:
    """Rows without a label."""
    rows = facts.unlabelled
    if rows.size:
        yield grouped(
            "missing-label",
            "there is no label",
            facts.where(rows[0]),
            "fill it in, or let `tunesmith check FILE --fix NEW_FILE` drop the row",
            column=facts.dataset.task.target_column,
            count=rows.size,
        )


def without_labels(facts: Facts) -> Iterator[Problem]:
    """Rows that say that no label fits: only multi-label data may have them."""
    bare = facts.codes >= 0
    bare[facts.bearers] = False
    rows = np.flatnonzero(bare)
    if rows.size:
        what = f"{rows.size:,} of {len(facts.dataset):,} rows have no label: they teach that none need fit"
        fix = "nothing need be done, if that is meant"
        column = facts.dataset.task.target_column
        yield grouped(
            "no-labels", what, facts.where(rows[0]), fix, column=column, severity="info", count=rows.size
        )


def unknown_labels(facts: Facts, known: Collection[str], whose: str = "this task") -> Iterator[Problem]:
    """Labels that `known` does not hold, the most frequent first; `whose` labels those are."""
    known = frozenset(known)
    unknown = {label: count for label, count in facts.counts.items() if label not in known}
    most_first = sorted(unknown, key=lambda label: -unknown[label])
    for label in most_first[:_MOST_TOLD]:
        yield _unknown(facts, f"{shown(label)} is not a label of {whose}", label, unknown[label], known)
    others = most_first[_MOST_TOLD:]
    if others:
        what = f"{len(others):,} more values are not labels of {whose}"
        yield _unknown(facts, what, others[0], sum(unknown[label] for label in others), known)


def _unknown(facts: Facts, what: str, label: str, count: int, known: Collection[str]) -> Problem:
    where = facts.where(facts.rows_of(label)[0])
    column = facts.dataset.task.target_column
    return grouped("unknown-label", what, where, _unknown_fix(label, known), column=column, count=count)


def _unknown_fix(label: str, known: Collection[str]) -> str:
    listed = "add it to `labels` in task.yaml and to the training rows"
    if label.strip() in known:
        return f"trim the value, or {listed}"
    by_key = {_variant_key(each): each for each in known}
    near = difflib.get_close_matches(_variant_key(label), by_key, n=1)
    return f"did you mean {shown(by_key[near[0]])}? correct the value, or {listed}" if near else listed


def _variant_key(label: str) -> str:
    return " ".join(unicodedata.normalize("NFC", label).casefold().split())


def label_groups(labels: Iterable[str]) -> list[list[str]]:
    """The labels in groups, in each of which they differ only in case, white space or Unicode form."""
    return _groups({label: _variant_key(label) for label in labels})


def _groups(keys: Mapping[str, str]) -> list[list[str]]:
    groups = defaultdict(list)
    for label, key in keys.items():
        groups[key].append(label)
    return list(groups.values())


def label_variants(facts: Facts) -> Iterator[Problem]:
    """Labels that are probably one label in several spellings."""
    groups = label_groups(facts.labels)
    fix = "use one spelling, or let `tunesmith check FILE --fix NEW_FILE` do it, or list both in task.yaml"
    for group in _several(groups):
        yield _variants(facts, group, "differ only in case or spaces", fix)
    singulars = {group[0]: _singular(_variant_key(group[0])) for group in groups}
    for group in _several(_groups(singulars)):
        yield _variants(facts, group, "look like singular and plural", "use one if they are one", "warning")


def _several(groups: list[list[str]]) -> list[list[str]]:
    return [group for group in groups if len(group) > 1][:_MOST_TOLD]


def _variants(facts: Facts, group: list[str], what: str, fix: str, severity: Severity = "error") -> Problem:
    counts = facts.counts
    usual, *others = sorted(group, key=lambda label: -counts[label])
    return grouped(
        "label-variants",
        f"{' and '.join(map(shown, [usual, *others]))} {what}",
        facts.where(facts.rows_of(others[0])[0]),
        fix,
        column=facts.dataset.task.target_column,
        severity=severity,
        count=sum(counts[label] for label in others),
    )


def _singular(key: str) -> str:
    if key.endswith("ies"):
        return key.removesuffix("ies") + "y"
    if key.endswith(("ses", "xes", "zes", "ches", "shes")):
        return key.removesuffix("es")
    return key.removesuffix("s") if not key.endswith("ss") else key


def label_balance(facts: Facts) -> Iterator[Problem]:
    """Too few labels, too few examples of a label, or far more of one than of another."""
    # what is no label of the task is told as that
    found = facts.counts
    counts = {label: found.get(label, 0) for label in facts.dataset.task.labels or found}
    present = {label: count for label, count in counts.items() if count}
    if len(present) < 2:
        yield _one_class(facts, list(present))
        return
    if facts.dataset.task.kind == "multi_label" and np.unique(facts.codes).size == 1:
        yield _one_target(facts)
        return
    rare = sorted(
        (label for label in counts if counts[label] < _FEWEST_EXAMPLES), key=lambda label: counts[label]
    )
    if rare:
        yield _few_examples(facts, rare, counts)
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    if present[most] > _MOST_IMBALANCE * present[least]:
        yield _imbalance(facts, (most, present[most]), (least, present[least]))


def _one_class(facts: Facts, present: list[str]) -> Problem:
    what = f"every row has the label {shown(present[0])}" if present else "no row has a label of this task"
    fix = "add rows of another label, or name the right column with --label-column"
    column = facts.dataset.task.target_column
    return grouped("one-class", what, facts.where(0), fix, column=column, count=len(facts.dataset))


def _one_target(facts: Facts) -> Problem:
    what = f"every row has the same labels: {shown_target(facts.dataset[0].target)}"
    fix = "add rows with other labels, or name the right column with --label-column"
    column = facts.dataset.task.target_column
    return grouped("one-class", what, facts.where(0), fix, column=column, count=len(facts.dataset))


def _few_examples(facts: Facts, rare: list[str], counts: dict[str, int]) -> Problem:
    told = ", ".join(f"{shown(label)} ({counts[label]})" for label in rare[:_TOLD_RARE])
    more = f" and {len(rare) - _TOLD_RARE} more" if len(rare) > _TOLD_RARE else ""
    noun = "1 label has" if len(rare) == 1 else f"{len(rare)} labels have"
    what = f"{noun} fewer than {_FEWEST_EXAMPLES} examples: {told}{more}"
    first = next((label for label in rare if counts[label]), None)
    where = facts.where(facts.rows_of(first)[0] if first else 0)
    fix = "add examples: little can be learned, and nothing measured, from so few"
    rows = sum(counts[label] for label in rare)
    column = facts.dataset.task.target_column
    return grouped("few-examples", what, where, fix, column=column, severity="warning", count=max(1, rows))


def _imbalance(facts: Facts, most: tuple[str, int], least: tuple[str, int]) -> Problem:
    what = f"{shown(most[0])} has {most[1]:,} rows, but {shown(least[0])} only {least[1]:,}"
    fix = "add rows of the rare label; `class_weights: auto` in the recipe makes up for some of it"
    where = facts.where(facts.rows_of(least[0])[0])
    return grouped("imbalance", what, where, fix, column=facts.dataset.task.target_column, severity="warning")
