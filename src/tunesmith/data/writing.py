"""Which columns hold what is to be written: a prompt and its completion, or whole conversations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tunesmith.data.arrow import Record
from tunesmith.data.cells import CellError, text_of
from tunesmith.data.chat import as_row_text, last_answer
from tunesmith.data.conversation import holds_messages, messages_of_cell
from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import FLAGS, Column, columns_of, infer_columns, listed_names, refuse_missing
from tunesmith.data.names import (
    COMPLETION_NAMES,
    CONTEXT_NAMES,
    GENERIC_LABEL_NAMES,
    INSTRUCTION,
    MESSAGES_NAMES,
    PROMPT_NAMES,
    folded_name,
)
from tunesmith.data.problems import ReadLog
from tunesmith.errors import DataError, Problem
from tunesmith.task import Kind

__all__ = ["Writing", "conversations", "infer_writing", "known_writing", "named", "pairs"]

# answers that are longer, or of which most occur once, are no labels
_LONGEST_LABEL_CHARS = 100
_FREE_TEXT_CHARS = 30
_FEWEST_ROWS_TO_TELL = 20
# labels can be written as well
_WRITTEN_NAMES = (*COMPLETION_NAMES, *GENERIC_LABEL_NAMES)


@dataclass(frozen=True, slots=True)
class Writing:
    """The columns of what is to be written; `note` says aloud what was inferred."""

    kind: Kind
    text: str
    target: str | None
    context: str | None = None
    """What stands below the prompt."""
    note: str = ""
    rejected: str | None = None
    """The answer that is not preferred."""


def known_writing(
    where: str, sample: Sequence[Row], kind: Kind, text: str | None, target: str | None
) -> Writing:
    """The columns for a kind that is known, the best candidates for those that are not named.

    Raises DataError where a named column is missing or nothing can be taken for one.
    """
    columns = columns_of(sample)
    if kind == "chat":
        refuse_missing(where, columns, text=text)
        text = text or _messages_column(where, columns, sample)
        return Writing("chat", text, None, note=f'conversations are read from column "{text}"')
    refuse_missing(where, columns, text=text, label=target)
    texts = [column for column in columns if column.mean_chars and column.name not in (text, target)]
    if text is None and target is None and len(texts) == 2 and not _pair(columns):
        text, target = (column.name for column in texts)
    else:
        target = target or named(columns, _WRITTEN_NAMES, text) or _longest(where, texts, "completion", text)
        text = text or named(columns, PROMPT_NAMES, target) or _longest(where, texts, "prompt", target)
    return _completion(columns, text, target)


def infer_writing(
    where: str,
    sample: Sequence[Row],
    labelled: Sequence[Row],
    text: str | None,
    target: str | None,
    notes: list[str],
) -> Writing | None:
    """What the first rows show to be written; None where, as far as can be told, they are labelled.

    `labelled` are the rows as they would be read for labels. A column that is named as messages are, and
    holds them, is a chat, unless its last answers repeat as labels do. A column that is named as completions
    are is one where it holds free text and would else be taken for the label. What could be written as well
    is said in `notes`.
    """
    columns = columns_of(sample)
    if target is None and text in (None, *MESSAGES_NAMES) and _holds_chats(columns, sample):
        if not _repeat_as_labels([row.values.get("label") for row in labelled]):
            return known_writing(where, sample, "chat", text, None)
        notes.append("the last answers repeat, and are taken for labels; to learn to write them: --kind chat")
        return None
    completion = target if target and folded_name(target) in COMPLETION_NAMES else None
    completion = completion or (None if target else named(columns, COMPLETION_NAMES, text))
    if completion is None or not _free_text([row.values.get(completion) for row in sample]):
        return None
    try:
        label = infer_columns(where, labelled, text, target).label
    except DataError:
        label = completion
    # few different instructions are no labels either
    if (
        label != completion
        and folded_name(label) != INSTRUCTION
        and any(label in row.values for row in sample)
    ):
        notes.append(f'to learn to write column "{completion}": --kind completion')
        return None
    return known_writing(where, sample, "completion", text, completion)


def _messages_column(where: str, columns: Sequence[Column], sample: Sequence[Row]) -> str:
    named = [column for name in MESSAGES_NAMES for column in columns if column.known_as == name]
    for column in (*named, *columns):
        cells = [row.values.get(column.name) for row in sample]
        if any(map(holds_messages, cells)):
            return column.name
    if named:
        return named[0].name
    names = listed_names(column.name for column in columns)
    what = f"no column seems to hold messages; the columns are {names}"
    fix = 'name it with --text-column; messages are lists of {"role": …, "content": …}'
    raise DataError(Problem("no-column", what, where, fix))


def _holds_chats(columns: Sequence[Column], sample: Sequence[Row]) -> bool:
    """Whether a column is named as messages are, and holds them in most rows."""
    named = [column.name for column in columns if column.known_as in MESSAGES_NAMES]
    counts = (sum(holds_messages(row.values.get(name)) for row in sample) for name in named)
    return any(2 * count > len(sample) for count in counts)


def _repeat_as_labels(answers: Sequence[object]) -> bool:
    texts = [answer for answer in answers if isinstance(answer, str)]
    distinct, longest = len(set(texts)), max(map(len, texts), default=0)
    few = 1 < len(texts) <= 4 and distinct == 2 and longest <= _FREE_TEXT_CHARS
    return few or (0 < 2 * distinct <= len(texts) and longest <= _LONGEST_LABEL_CHARS)


def _free_text(cells: Sequence[object]) -> bool:
    texts = [cell for cell in cells if isinstance(cell, str)]
    distinct = len(set(texts))
    long = sum(map(len, texts)) > _FREE_TEXT_CHARS * len(texts)
    # however short: no label could be learned from one row of it
    each_its_own = len(texts) >= _FEWEST_ROWS_TO_TELL and 10 * distinct > 9 * len(cells)
    return 2 * distinct > len(cells) and (long or each_its_own)


def _pair(columns: Sequence[Column]) -> bool:
    return bool(named(columns, PROMPT_NAMES, None) or named(columns, _WRITTEN_NAMES, None))


def named(columns: Sequence[Column], names: Sequence[str], without: str | None) -> str | None:
    """The first column, but for one, that is known by the first of `names` that any has."""
    found = (column.name for name in names for column in columns if column.known_as == name)
    return next((name for name in found if name != without), None)


def _longest(where: str, columns: Sequence[Column], what: str, without: str | None) -> str:
    others = [column for column in columns if column.name != without]
    if others:
        return max(others, key=lambda column: column.mean_chars).name
    told = f"no column seems to hold the {what}"
    raise DataError(Problem("no-column", told, where, FLAGS))


def _completion(columns: Sequence[Column], text: str, target: str) -> Writing:
    context = None
    if folded_name(text) == INSTRUCTION:
        context = named(columns, CONTEXT_NAMES, target)
    below = f', with "{context}" below it' if context else ""
    note = f'the prompt is read from column "{text}"{below}, its completion from "{target}"'
    return Writing("completion", text, target, context, note)


def pairs(rows: Iterable[Row], writing: Writing, log: ReadLog) -> Iterator[Record]:
    """The prompt and the completion of each row; cells that are no text are faults of `log`."""
    assert writing.target is not None
    for row in rows:
        try:
            prompt = text_of(row.values.get(writing.text))
            context = text_of(row.values.get(writing.context)) if writing.context else None
            completion = text_of(row.values.get(writing.target))
        except CellError as fault:
            log.fault(fault.code, fault.what, row.where, fault.fix)
            continue
        below = [text for text in (prompt, context) if text and text.strip()]
        yield ("\n\n".join(below) if context else prompt), completion, row


def conversations(rows: Iterable[Row], writing: Writing, log: ReadLog) -> Iterator[Record]:
    """The messages and the last answer of each row; what is no conversation is a fault of `log`."""
    for row in rows:
        messages, faults = messages_of_cell(row.values.get(writing.text))
        for fault in faults:
            log.fault(fault.code, fault.what, row.where, fault.fix)
        if row.values.get("tools"):
            what, fix = "the tools that the conversation may use are left out", "nothing need be done"
            log.fault("tools-left-out", what, row.where, fix, severity="warning")
        if not faults:
            yield as_row_text(messages), last_answer(messages), row
