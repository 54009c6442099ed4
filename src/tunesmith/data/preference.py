"""Preferences: a conversation, and two answers to it of which one is preferred."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tunesmith.data.arrow import Record
from tunesmith.data.cells import CellError, text_of
from tunesmith.data.chat import ASSISTANT, Message, as_pair_text, as_row_text
from tunesmith.data.conversation import holds_messages, messages_of_cell, unwrapped
from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import Column, columns_of, listed_names, refuse_missing
from tunesmith.data.names import PREFERRED_NAMES, PROMPT_NAMES, REJECTED_NAMES, folded_name
from tunesmith.data.problems import ReadLog
from tunesmith.data.writing import Writing, named
from tunesmith.errors import DataError, Problem

__all__ = ["infer_preference", "known_preference", "preferences"]

# what an assistant hears while it answers
_WITHIN_ANSWERS = (ASSISTANT, "tool", "function")
_COLUMNS = "name the columns in task.yaml: `text_column`, `target_column` and `rejected_column`"


def infer_preference(sample: Sequence[Row], text: str | None, target: str | None) -> Writing | None:
    """The columns of preferences, where the first rows have a prompt, a preferred and a rejected answer."""
    columns = columns_of(sample)
    names, wanted = [column.name for column in columns], {name for name in (text, target) if name is not None}
    # a target of another name is a label or a completion, whatever stands beside it
    if wanted - {*names} or (target is not None and folded_name(target) not in PREFERRED_NAMES):
        return None
    return _columns(columns, text, target, None)


def known_preference(
    where: str, sample: Sequence[Row], text: str | None, target: str | None, rejected: str | None
) -> Writing:
    """The columns of rows that are said to be preferences.

    Raises DataError where a named column is missing or nothing can be taken for one.
    """
    columns = columns_of(sample)
    refuse_missing(where, columns, text=text, label=target)
    found, names = _columns(columns, text, target, rejected), [column.name for column in columns]
    told = (
        None if found is not None else "no columns seem to hold a prompt, a preferred and a rejected answer"
    )
    if rejected is not None and rejected not in names:
        told = f'no column is named "{rejected}"'
    if found is None or told:
        what = f"{told}; the columns are {listed_names(names)}"
        raise DataError(Problem("no-column", what, where, _COLUMNS))
    return found


def _columns(
    columns: Sequence[Column], text: str | None, target: str | None, rejected: str | None
) -> Writing | None:
    target = target or named(columns, PREFERRED_NAMES, None)
    rejected = rejected or named(columns, REJECTED_NAMES, target)
    text = text or named(columns, PROMPT_NAMES, target)
    if text is None or target is None or rejected is None:
        return None
    note = f'the prompt is read from column "{text}", the preferred answer from "{target}"'
    return Writing(
        "preference", text, target, note=f'{note}, the rejected from "{rejected}"', rejected=rejected
    )


def preferences(rows: Iterable[Row], writing: Writing, log: ReadLog) -> Iterator[Record]:
    """The conversation and the two answers of each row; what is no preference is a fault of `log`."""
    assert writing.target is not None
    assert writing.rejected is not None
    for row in rows:
        prompt, faults = _said(row.values.get(writing.text), "user")
        preferred, of_preferred = _answer(row.values.get(writing.target), "preferred", prompt)
        rejected, of_rejected = _answer(row.values.get(writing.rejected), "rejected", prompt)
        faults += [*of_preferred, *of_rejected]
        if not faults and preferred == rejected:
            fix = "leave the row out: nothing can be learned from two equal answers"
            what = "the preferred and the rejected answer are the same"
            faults = [CellError("equal-answers", what, fix)]
        for fault in faults:
            log.fault(fault.code, fault.what, row.where, fault.fix)
        if _has_tools(row.values.get(writing.text)):
            what, fix = "the tools that the conversation may use are left out", "nothing need be done"
            log.fault("tools-left-out", what, row.where, fix, severity="warning")
        if not faults:
            yield as_row_text(prompt), as_pair_text(preferred, rejected), row


def _said(cell: object, role: str) -> tuple[list[Message], list[CellError]]:
    """The messages of a cell; a text is one of `role`, and nothing is none."""
    cell = unwrapped(cell)
    if isinstance(cell, list) or holds_messages(cell):
        return messages_of_cell(cell)
    try:
        text = text_of(cell)
    except CellError as fault:
        return [], [fault]
    return ([{"role": role, "content": text}] if text else []), []


def _answer(cell: object, which: str, prompt: list[Message]) -> tuple[list[Message], list[CellError]]:
    """An answer, without the prompt where it begins with that; every message of it is to be learned from."""
    if unwrapped(cell) in (None, "", []):
        return [], [CellError("no-answer", f"the {which} answer is missing", "write it, or drop the row")]
    said, faults = _said(cell, ASSISTANT)
    if prompt and said[: len(prompt)] == prompt:
        said = said[len(prompt) :]
    said = [{name: value for name, value in message.items() if name != "weight"} for message in said]
    return said, faults or list(_answer_faults(said, which))


def _answer_faults(said: list[Message], which: str) -> Iterator[CellError]:
    strange = [message["role"] for message in said if message["role"] not in _WITHIN_ANSWERS]
    if strange or not said or said[-1]["role"] != ASSISTANT:
        what = (
            f"the {which} answer has a message of the role {strange[0]!r}"
            if strange
            else (f"the {which} answer does not end with a message of the assistant")
        )
        fix = "an answer is what the assistant says; what stands before it belongs to the prompt"
        yield CellError("not-an-answer", what, fix)
    elif any(message["role"] == ASSISTANT and not message["content"].strip() for message in said):
        yield CellError("empty-completion", f"the {which} answer is empty", "fill it in, or drop the row")


def _has_tools(cell: object) -> bool:
    return isinstance(cell, dict) and bool(cell.get("tools"))
