"""Messages -> the text that a model reads, in segments that are learned or not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunesmith.data.chat import ASSISTANT, INSTRUCTING, Message, is_learned, messages_in, pair_in
from tunesmith.data.template import Template
from tunesmith.task import Task

__all__ = ["Segment", "conversations_of", "instructed", "messages_of", "render", "render_prompt"]

_FIRST_NONCHARACTER = 0xFDD0


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered conversation, tokenised on its own.

    `seams` are places within `text`, in order, across which no token may reach: there a special token that
    somebody wrote into a message falls apart into ordinary text.
    """

    text: str
    learned: bool
    seams: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[str]:
        """The text, parted at its seams."""
        return [self.text[start:end] for start, end in pairwise((0, *self.seams, len(self.text)))]


def messages_of(task: Task, text: str, target: str | None = None) -> list[Message]:
    """What a row says as messages, with the task's instruction; without `target` a prompt is still open."""
    if task.kind == "chat":
        messages = messages_in(text)
    elif task.kind == "preference":
        messages = messages_in(text) + (pair_in(target)[0] if target is not None else [])
    else:
        messages = [{"role": "user", "content": text}]
        if target is not None:
            messages.append({"role": ASSISTANT, "content": target})
    return instructed(messages, task.instruction)


def conversations_of(task: Task, text: str, target: str | None) -> list[list[Message]]:
    """The conversations of a row that learning reads: one, or of a preference the preferred and the rejected.

    Of a preference, nothing is learned but the answers.
    """
    if task.kind != "preference":
        return [messages_of(task, text, target)]
    assert target is not None, "a row without two answers is not read"
    said = [_unlearned(message) for message in messages_of(task, text)]
    return [[*said, *answer] for answer in pair_in(target)]


def _unlearned(message: Message) -> Message:
    return {**message, "weight": 0} if message["role"] == ASSISTANT else message


def instructed(messages: Sequence[Message], instruction: str | None) -> list[Message]:
    """The messages with the instruction before them, where none of them says how to answer."""
    if instruction and not any(message["role"] in INSTRUCTING for message in messages):
        return [{"role": "system", "content": instruction}, *messages]
    return list(messages)


def render(messages: Sequence[Message], template: Template) -> list[Segment]:
    """The conversation up to its last learned answer: what stands before answers, and the answers, in turns.

    An answer is learned unless its `weight` is 0; what the template says at its end is part of it.
    Raises BaseError where the template fails, or where it writes what it wrote otherwise once more is said.
    """
    learned = [at for at, message in enumerate(messages) if is_learned(message)]
    end = learned[-1] + 1 if learned else len(messages)
    return _Rendering(messages[:end], template, open_end=False).segments()


def render_prompt(messages: Sequence[Message], template: Template) -> list[Segment]:
    """The conversation up to where the next answer begins: the first segments that `render` makes with it."""
    return _Rendering(messages, template, open_end=True).segments()


class _Rendering:
    """One conversation on its way to segments; a mark stands in every special token that it imitates."""

    def __init__(self, messages: Sequence[Message], template: Template, *, open_end: bool) -> None:
        self._template = template
        self._mark = _unused_char(messages, template)
        self._messages = [self._marked(message) for message in messages]
        self._open_end = open_end
        self._texts: dict[tuple[int, bool], str] = {}
        self._whole = self._text(len(messages), open_end=open_end)

    def segments(self) -> list[Segment]:
        """What stands between answers and the answers, in turns; empty ones left out."""
        segments, at = [], 0
        for start, end, learned in self._answers():
            segments += [self._segment(at, start, learned=False), self._segment(start, end, learned=learned)]
            at = end
        segments.append(self._segment(at, len(self._whole), learned=False))
        return [segment for segment in segments if segment.text]

    def _answers(self) -> Iterator[tuple[int, int, bool]]:
        """Where each answer stands in the whole, and whether it is learned.

        One that the template writes otherwise once more is said counts as prompt, unless it is to be learned.
        """
        for index, message in enumerate(self._messages):
            if message["role"] != ASSISTANT:
                continue
            before = self._text(index, open_end=True)
            after = self._text(index + 1, open_end=False)
            if after.startswith(before) and self._whole.startswith(after):
                yield len(before), len(after), is_learned(message)
            elif is_learned(message) and not self._open_end:
                raise self._template.not_incremental()

    def _text(self, count: int, *, open_end: bool) -> str:
        key = (count, open_end)
        if key not in self._texts:
            messages = self._messages[:count]
            self._texts[key] = self._template.fill(messages, add_generation_prompt=open_end)
        return self._texts[key]

    def _marked(self, message: Message) -> Message:
        return {
            name: self._cut(value) if isinstance(value, str) and name != "role" else value
            for name, value in message.items()
        }

    def _cut(self, text: str) -> str:
        # after its first character: neither part is the token
        places = (0, *(at + 1 for at in self._template.imitations(text)), len(text))
        return self._mark.join(text[start:end] for start, end in pairwise(places))

    def _segment(self, start: int, end: int, *, learned: bool) -> Segment:
        pieces = self._whole[start:end].split(self._mark)
        seams, at = [], 0
        for piece in pieces[:-1]:
            at += len(piece)
            seams.append(at)
        return Segment("".join(pieces), learned, tuple(seams))


def _unused_char(messages: Sequence[Message], template: Template) -> str:
    """A character that stands nowhere in the conversation."""
    texts = [template.source, *template.tokens.values()]
    texts += [value for message in messages for value in message.values() if isinstance(value, str)]
    codes = range(_FIRST_NONCHARACTER, sys.maxunicode)
    return next(char for char in map(chr, codes) if not any(char in text for text in texts))
