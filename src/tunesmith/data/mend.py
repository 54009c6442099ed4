"""Dataset -> a dataset without the faults that can be mended, and what was done to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.cells import sorted_labels
from tunesmith.data.chat import as_row_text, messages_in, up_to_last_answer
from tunesmith.data.dataset import Dataset, Target
from tunesmith.data.facts import Facts, Rows, facts_of
from tunesmith.data.label_checks import label_groups
from tunesmith.data.problems import shown
from tunesmith.data.writing_checks import unfit_examples
from tunesmith.errors import Problem

__all__ = ["mend"]


def mend(dataset: Dataset, *, labels_given: bool = False) -> tuple[Dataset, tuple[str, ...]]:
    """Trim texts, merge spellings of a label, and drop empty, unlabelled, contradictory and repeated rows.

    Of what is to be written no text is changed: what follows the last answer of a conversation is cut, and
    rows are dropped that teach nothing or repeat prompt and completion of an earlier one.

    Merged labels take the most frequent spelling, or the task's where the user listed its labels
    (`labels_given`). What was done is told in sentences, each with its count; reading problems of a
    leniently read dataset are among them.
    """
    done = [_read_leniently(problem) for problem in dataset.problems]
    if dataset.task.writes:
        return _mended_writing(replace(dataset, problems=()), done), tuple(done)
    facts = facts_of(_trimmed(replace(dataset, problems=()), done))
    facts = _with_one_spelling(facts, dataset.task.labels if labels_given else (), done)
    facts = _without(facts, facts.empty, "dropped: no text", done)
    facts = _without(facts, facts.unlabelled, "dropped: no label", done)
    facts = _without(facts, facts.contradictory, "dropped: their text stands under several labels", done)
    facts = _without(facts, facts.repeated, "dropped: their text stands in an earlier row", done)
    if labels_given:
        return facts.dataset, tuple(done)
    labels = sorted_labels(label for label, count in facts.counts.items() if count)
    task = dataset.task.model_copy(update={"labels": labels})
    return replace(facts.dataset, task=task), tuple(done)


def _mended_writing(dataset: Dataset, done: list[str]) -> Dataset:
    if dataset.task.kind == "chat":
        dataset = _cut_after_answers(dataset, done)
    facts = facts_of(dataset)
    facts = _without(facts, unfit_examples(facts), "dropped: they teach nothing, or an empty answer", done)
    return _without(
        facts, facts.repeated, "dropped: prompt and completion stand in an earlier row", done
    ).dataset


def _cut_after_answers(dataset: Dataset, done: list[str]) -> Dataset:
    conversations = map(messages_in, dataset.texts)
    texts = [as_row_text(up_to_last_answer(messages)) for messages in conversations]
    cut = sum(text != before for text, before in zip(texts, dataset.texts, strict=True))
    if not cut:
        return dataset
    done.append(f"{_rows(cut)} cut after the last answer")
    return _with_column(dataset, "text", pa.chunked_array([pa.array(texts, pa.large_string())]))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _read_leniently(problem: Problem) -> str:
    match problem.code:
        case "bad-encoding":
            return f"{_rows(problem.count)} mended: bytes that are no character were replaced by \ufffd"
        case "guessed-encoding" | "tools-left-out":
            return problem.what
        case _:
            return f"{_rows(problem.count)} left out: {problem.what}"


def _trimmed(dataset: Dataset, done: list[str]) -> Dataset:
    texts = dataset.table.column("text")
    trimmed = pc.utf8_trim_whitespace(texts)
    count = pc.sum(pc.not_equal(texts, trimmed)).as_py()
    if not count:
        return dataset
    done.append(f"{_rows(count)} trimmed of white space around the text")
    return _with_column(dataset, "text", trimmed)


def _with_column(dataset: Dataset, name: str, column: pa.ChunkedArray) -> Dataset:
    at = dataset.table.schema.get_field_index(name)
    return replace(dataset, table=dataset.table.set_column(at, dataset.table.schema.field(name), column))


def _with_one_spelling(facts: Facts, listed: Collection[str], done: list[str]) -> Facts:
    counts = facts.counts
    better = {label: other for label, other in _spellings(counts, listed).items() if label != other}
    if not better:
        return facts
    for label, other in better.items():
        done.append(f"{_rows(counts[label])} relabelled from {shown(label)} to {shown(other)}")
    targets = [_respelled(example.target, better) for example in facts.dataset]
    column = pa.array(targets, facts.dataset.table.schema.field("target").type)
    return facts_of(_with_column(facts.dataset, "target", pa.chunked_array([column])))


def _respelled(target: Target, better: Mapping[str, str]) -> Target:
    if target is None or isinstance(target, str):
        return target and better.get(target, target)
    return tuple(dict.fromkeys(better.get(label, label) for label in target))


def _spellings(counts: Mapping[str, int], listed: Collection[str]) -> dict[str, str]:
    """label -> the spelling it should have, for every label of `counts` that is not listed."""
    spellings: dict[str, str] = {}
    for group in label_groups([*counts, *listed]):
        unlisted = [label for label in group if label not in listed]
        match [label for label in group if label in listed]:
            case []:
                usual = max(unlisted, key=lambda label: counts[label]).strip()
            case [usual]:
                pass
            case _:
                continue  # listed in several spellings: which is meant is not for us to say
        spellings |= dict.fromkeys(unlisted, usual)
    return spellings


def _without(facts: Facts, rows: Rows, told: str, done: list[str]) -> Facts:
    if not rows.size:
        return facts
    done.append(f"{_rows(rows.size)} {told}")
    return facts.take(np.delete(np.arange(len(facts.dataset)), rows))
