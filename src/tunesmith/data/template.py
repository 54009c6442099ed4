"""Template: how a base writes a conversation down, and what of it a message may not imitate."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tunesmith.data.chat import Message
from tunesmith.data.sandbox import FAILURES, fill
from tunesmith.errors import BaseError, Problem

__all__ = ["DEFAULT_TEMPLATE", "Template"]

DEFAULT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role in ('system', 'developer') %}{{ message.content + '\n\n' }}"
    "{% elif message.role == 'assistant' %}{{ message.content + eos_token }}"
    "{% else %}{{ message.content + '\n\n###\n\n' }}{% endif %}"
    "{% endfor %}"
)
"""For bases without a template of their own: prompt, a rule, completion, end of text."""

# a template may say a text several times over, and something beside it
_TIMES_AS_LONG = 8
_CHARS_BESIDE = 1_000_000
_FIX = "mend the `chat_template` of the base's tokenizer, or use another base"


@dataclass(frozen=True, slots=True)
class Template:
    """A Jinja chat template as tokenizers carry it, with the variables that transformers gives it.

    Raises BaseError where the template is no text.
    """

    source: str = DEFAULT_TEMPLATE
    tokens: Mapping[str, str] = field(default_factory=lambda: {"bos_token": "", "eos_token": ""})
    """`bos_token`, `eos_token` and others by name."""
    special_tokens: tuple[str, ...] = ()
    """All texts that become a token with a meaning of its own."""
    now: Callable[[], datetime] = datetime.now
    """What `strftime_now` asks."""

    def __post_init__(self) -> None:
        # a file of the base said it, and may say anything
        if not isinstance(self.source, str):
            raise BaseError(_template_problem("bad-template", "the chat template is no text"))

    def described(self) -> dict[str, object]:
        """What decides how a conversation is written, as JSON; the day, where the template may ask for it."""
        today = self.now().date().isoformat() if "strftime_now" in self.source else None
        return {
            "source": self.source,
            "tokens": dict(self.tokens),
            "special_tokens": list(self.special_tokens),
            "today": today,
        }

    def fill(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """The conversation as text, with where an answer begins after it where `add_generation_prompt`.

        Raises BaseError where the template fails, takes seconds, or makes far more text than it is given.
        """
        said = [{name: value for name, value in each.items() if name != "weight"} for each in messages]
        chars = sum(len(str(value)) for each in said for value in each.values())
        try:
            return fill(self.source, self._values(said, add_generation_prompt), self._most_chars(chars))
        except FAILURES as error:
            reason = str(error) or type(error).__name__
            raise BaseError(
                _template_problem("bad-template", f"the chat template fails: {reason}")
            ) from error

    def _values(self, messages: list[Message], add_generation_prompt: bool) -> dict[str, Any]:
        return {
            **self.tokens,
            "messages": messages,
            "add_generation_prompt": add_generation_prompt,
            "tools": None,
            "documents": None,
            "strftime_now": lambda form: self.now().strftime(form),
        }

    def _most_chars(self, chars: int) -> int:
        return _CHARS_BESIDE + _TIMES_AS_LONG * chars

    def not_incremental(self) -> BaseError:
        """The error that an answer does not stand where the template says that it begins."""
        what = "the chat template writes what was said before an answer otherwise once the answer is there"
        fix = (
            "give all answers but the last `weight: 0`, or split conversations into rows of one answer each;"
            f" if that does not help: {_FIX}"
        )
        return BaseError(_template_problem("template-not-incremental", what, fix))

    def imitations(self, text: str) -> list[int]:
        """Where special tokens begin that are written out in `text`."""
        longer = [re.escape(token) for token in self.special_tokens if len(token) > 1]
        if not longer:
            return []
        return [found.start() for found in re.finditer(f"(?={'|'.join(longer)})", text)]


def _template_problem(code: str, what: str, fix: str = _FIX) -> Problem:
    return Problem(code, what, "the chat template of the base", fix)
