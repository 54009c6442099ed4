"""What is wrong with prompts, completions and conversations, or looks as if it were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

import numpy as np

from tunesmith.data.chat import (
    ASSISTANT,
    INSTRUCTING,
    Message,
    as_pair_text,
    before_last_answer,
    is_learned,
    messages_in,
    pair_in,
)
from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import Facts, Rows
from tunesmith.data.problems import grouped
from tunesmith.data.texts import EMPTY_KEY
from tunesmith.errors import Problem, Severity

__all__ = ["example_faults", "example_repeats", "few_examples", "unfit_examples"]

_FEWEST_EXAMPLES = 10
_DROP = "or let `tunesmith check FILE --fix NEW_FILE` drop the row"
_EMPTY_PROMPT = "nothing need be done, if the model is to write without being asked"


def example_faults(facts: Facts) -> Iterator[Problem]:
    """Everything that is wrong with single examples."""
    match facts.dataset.task.kind:
        case "completion":
            yield from _pair_faults(facts)
        case "preference":
            yield from _preference_faults(facts.dataset)
        case _:
            yield from _conversation_faults(facts.dataset)


def unfit_examples(facts: Facts) -> Rows:
    """The rows of which nothing can be learned, or something that should not be."""
    if facts.dataset.task.kind != "chat":
        return facts.unlabelled
    (found,) = _rows_where(facts.dataset, _unfit)
    return np.unique(np.concatenate([facts.unlabelled, found]))


def _told(
    dataset: Dataset,
    code: str,
    what: str,
    rows: Rows,
    fix: str,
    severity: Severity = "error",
    column: str | None = None,
) -> Iterator[Problem]:
    if rows.size:
        column = column or dataset.task.text_column
        where = dataset.where(int(rows[0]))
        yield grouped(code, what, where, fix, column=column, severity=severity, count=rows.size)


def _pair_faults(facts: Facts) -> Iterator[Problem]:
    dataset = facts.dataset
    fix, column = f"fill it in, {_DROP}", dataset.task.target_column
    what = "the completion is empty"
    yield from _told(dataset, "empty-completion", what, facts.unlabelled, fix, column=column)
    texts = chain.from_iterable(dataset.text_batches())
    empty = np.flatnonzero(np.fromiter((not text.strip() for text in texts), np.bool_, len(dataset)))
    yield from _told(dataset, "empty-prompt", "the prompt is empty", empty, _EMPTY_PROMPT, "warning")


def _conversation_faults(dataset: Dataset) -> Iterator[Problem]:
    mute, open_ended, idle, blank, unasked, late = _rows_where(
        dataset, _no_answer, _ends_otherwise, _nothing_learned, _empty_answer, _empty_prompt, _late_system
    )
    yield from _told(dataset, "no-answer", "the assistant says nothing", mute, f"add its answer, {_DROP}")
    fix = "end with its answer; `--fix` cuts what follows the last one"
    yield from _told(dataset, "last-not-answer", "the last message is not the assistant's", open_ended, fix)
    fix = f"take the weight from one that is to be learned, {_DROP}"
    yield from _told(dataset, "nothing-learned", "every answer has the weight 0", idle, fix)
    fix = f"fill it in, give it the weight 0, {_DROP}"
    yield from _told(dataset, "empty-completion", "an answer to be learned is empty", blank, fix)
    what = "nothing is said before the last answer"
    yield from _told(dataset, "empty-prompt", what, unasked, _EMPTY_PROMPT, "warning")
    yield from _late_faults(dataset, late)


def _late_faults(dataset: Dataset, late: Rows) -> Iterator[Problem]:
    fix = "put it first, where the chat templates of most bases expect it"
    yield from _told(
        dataset, "system-not-first", "a system message stands after others", late, fix, "warning"
    )


def _preference_faults(dataset: Dataset) -> Iterator[Problem]:
    """What is wrong with prompts; a row with a fault in its answers is not read at all."""
    blank, late = _rows_where(dataset, lambda prompt: not _says(prompt), _late_system)
    yield from _told(dataset, "empty-prompt", "the prompt is empty", blank, _EMPTY_PROMPT, "warning")
    yield from _late_faults(dataset, late)


def example_repeats(facts: Facts) -> Iterator[Problem]:
    """Prompts that stand more than once: all of them, with one completion, or with several."""
    dataset, keys = facts.dataset, np.unique(facts.keys[facts.keys != EMPTY_KEY])
    if keys.size == 1 and len(facts.dataset) > 1:
        what = f"all {len(facts.dataset):,} rows hold the same prompt"
        fix = "name the right column with --text-column"
        yield from _told(dataset, "all-duplicates", what, np.arange(len(facts.dataset)), fix)
        return
    if dataset.task.kind == "preference":
        yield from _opposed(facts)
    else:
        what, fix = (
            "the same prompt has another completion elsewhere",
            "nothing need be done, if all are good",
        )
        yield from _told(dataset, "several-completions", what, facts.contradictory, fix, "info")
    fix = "nothing need be done: equal prompts never part in a split; `--fix` keeps the first of each"
    what = "prompt and completion of an earlier row stand here again"
    what = (
        what if dataset.task.kind != "preference" else "prompt and answers of an earlier row stand here again"
    )
    yield from _told(dataset, "duplicates", what, facts.repeated, fix, "warning")


def _opposed(facts: Facts) -> Iterator[Problem]:
    """Rows that prefer the one of two answers where another row prefers the other."""
    dataset, rows = facts.dataset, facts.contradictory
    pairs = [(facts.keys[row], dataset[row].target) for row in rows.tolist()]
    said = {(key, str(target)) for key, target in pairs}
    turned = [(key, as_pair_text(*reversed(pair_in(str(target))))) in said for key, target in pairs]
    what, fix = "the same two answers are preferred the other way round elsewhere", "keep one of the two rows"
    yield from _told(dataset, "opposed-preferences", what, rows[np.asarray(turned, np.bool_)], fix, "warning")


def few_examples(dataset: Dataset) -> Iterator[Problem]:
    """Fewer rows than anything can be learned from."""
    if len(dataset) < _FEWEST_EXAMPLES:
        what = f"there are fewer than {_FEWEST_EXAMPLES} examples"
        fix = "add examples: little can be learned, and nothing measured, from so few"
        yield from _told(dataset, "few-examples", what, np.arange(len(dataset)), fix, "warning")


Holds = Callable[[Sequence[Message]], bool]


def _rows_where(dataset: Dataset, *holds: Holds) -> list[Rows]:
    """The rows whose messages each of `holds` is true of."""
    flags = np.zeros((len(dataset), len(holds)), np.bool_)
    for row, text in enumerate(chain.from_iterable(dataset.text_batches())):
        messages = messages_in(text)
        flags[row] = [each(messages) for each in holds]
    return [np.flatnonzero(column) for column in flags.T]


def _no_answer(messages: Sequence[Message]) -> bool:
    return not any(message["role"] == ASSISTANT for message in messages)


def _ends_otherwise(messages: Sequence[Message]) -> bool:
    return not _no_answer(messages) and messages[-1]["role"] != ASSISTANT


def _nothing_learned(messages: Sequence[Message]) -> bool:
    return not _no_answer(messages) and not any(map(is_learned, messages))


def _empty_answer(messages: Sequence[Message]) -> bool:
    return any(is_learned(message) and not message["content"].strip() for message in messages)


def _empty_prompt(messages: Sequence[Message]) -> bool:
    return not _says(before_last_answer(messages))


def _says(messages: Sequence[Message]) -> bool:
    return any(message["content"].strip() for message in messages)


def _late_system(messages: Sequence[Message]) -> bool:
    roles = [message["role"] in INSTRUCTING for message in messages]
    return any(late and not before for before, late in pairwise(roles))


def _unfit(messages: Sequence[Message]) -> bool:
    return _no_answer(messages) or _nothing_learned(messages) or _empty_answer(messages)
