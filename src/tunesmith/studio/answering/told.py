"""What a model said -> the JSON of a chat or of a completion, whole or in chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunesmith.scribe.piece import Finish, Likely, Piece, Token

__all__ = ["ChatForm", "CompletionForm", "Form", "Said", "Usage", "head"]

Json = dict[str, Any]
# JSON has no infinity; OpenAI's own API tells this where a probability is 0
_LEAST_LOGPROB = -9999.0


@dataclass(slots=True)
class Said:
    """One answer as far as it has come."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    finish_reason: Finish | None = None

    def add(self, piece: Piece) -> None:
        """Go on with a piece."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish_reason = piece.finish_reason


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request came to: each prompt counts once, and the answers with the ends of their turns."""

    prompt_tokens: int
    completion_tokens: int

    def told(self) -> Json:
        """As JSON."""
        total = self.prompt_tokens + self.completion_tokens
        told = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {**told, "total_tokens": total}


class Form(Protocol):
    """How one endpoint tells what a model said."""

    prefix: str
    whole: str
    """The `object` of a whole answer"""
    chunk: str
    """The `object` of a chunk"""

    def choice(self, index: int, said: Said) -> Json:
        """A whole answer."""

    def opening(self, index: int) -> Iterator[Json]:
        """What a stream says of a choice before its first piece."""

    def parts(self, index: int, piece: Piece) -> Iterator[Json]:
        """What a stream says of a piece."""


def head(form: Form, model: str, fingerprint: str) -> Json:
    """What an answer and all its chunks have in common but their `object`."""
    made = {"id": form.prefix + secrets.token_hex(12), "created": int(time.time())}
    return {**made, "model": model, "system_fingerprint": fingerprint}


@dataclass(frozen=True, slots=True)
class ChatForm:
    """Of /v1/chat/completions."""

    logprobs: bool
    prefix = "chatcmpl-"
    whole, chunk = "chat.completion", "chat.completion.chunk"

    def choice(self, index: int, said: Said) -> Json:
        """See Form."""
        message = {"role": "assistant", "content": said.text, "refusal": None}
        told = {"index": index, "message": message, "logprobs": self._logprobs(said.tokens)}
        return {**told, "finish_reason": said.finish_reason}

    def opening(self, index: int) -> Iterator[Json]:
        """See Form."""
        yield _delta(index, {"role": "assistant", "content": ""})

    def parts(self, index: int, piece: Piece) -> Iterator[Json]:
        """See Form."""
        if piece.text or piece.tokens:
            yield _delta(index, {"content": piece.text}, logprobs=self._logprobs(piece.tokens))
        if piece.finish_reason:
            yield _delta(index, {}, finish_reason=piece.finish_reason)

    def _logprobs(self, tokens: Sequence[Token]) -> Json | None:
        if not self.logprobs:
            return None
        return {"content": [_chat_token(token) for token in tokens], "refusal": None}


def _delta(
    index: int, delta: Json, *, logprobs: Json | None = None, finish_reason: str | None = None
) -> Json:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _chat_token(token: Token) -> Json:
    return {**_likely(token), "top_logprobs": [_likely(each) for each in token.likeliest]}


def _likely(token: Token | Likely) -> Json:
    return {"token": token.text, "bytes": list(token.data), "logprob": _finite(token.logprob)}


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, _LEAST_LOGPROB)


@dataclass(frozen=True, slots=True)
class CompletionForm:
    """Of /v1/completions."""

    logprobs: int | None
    prefix = "cmpl-"
    whole = chunk = "text_completion"

    def choice(self, index: int, said: Said) -> Json:
        """See Form."""
        return self._choice(index, said.text, said.tokens, said.finish_reason)

    def opening(self, index: int) -> Iterator[Json]:  # noqa: ARG002 -- nobody has a role here
        """See Form."""
        yield from ()

    def parts(self, index: int, piece: Piece) -> Iterator[Json]:
        """See Form."""
        yield self._choice(index, piece.text, piece.tokens, piece.finish_reason)

    def _choice(self, index: int, text: str, tokens: Sequence[Token], finish: Finish | None) -> Json:
        told = {"index": index, "text": text, "logprobs": self._logprobs(tokens)}
        return {**told, "finish_reason": finish}

    def _logprobs(self, tokens: Sequence[Token]) -> Json | None:
        if self.logprobs is None:
            return None
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [_finite(token.logprob) for token in tokens],
            "top_logprobs": [_by_text(token) for token in tokens] if self.logprobs else None,
            "text_offset": [token.offset for token in tokens],
        }


def _by_text(token: Token) -> Mapping[str, float | None] | None:
    """The likeliest tokens and the one that was taken; None for the first of a prompt."""
    if token.logprob is None:
        return None
    found: dict[str, float | None] = {}
    told: list[Token | Likely] = [*token.likeliest, token]
    for each in told:
        # of tokens that are no whole characters, several read alike: the likeliest is told
        found.setdefault(each.text, _finite(each.logprob))
    return found
