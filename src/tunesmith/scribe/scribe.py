"""Scribe: requests from any thread or coroutine -> streams of what one thread writes for all of them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Self

import numpy as np

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.decoding import refuse_faults
from tunesmith.model.encode import Encoded, Ids, encode
from tunesmith.scribe.batch import Batch, Row
from tunesmith.scribe.choice import Choice, echoed
from tunesmith.scribe.constraint import Constraints
from tunesmith.scribe.logprobs import Told, prompt_told
from tunesmith.scribe.piece import Finish, Piece
from tunesmith.scribe.request import Request
from tunesmith.scribe.stream import Stream
from tunesmith.scribe.vocabulary import Vocabulary
from tunesmith.writer import Writer

__all__ = ["Busy", "Closed", "Scribe"]

_log = logging.getLogger(__name__)


class Busy(Exception):  # noqa: N818 (it is no error of anyone's)
    """So many requests wait already that no other is taken."""


class Closed(Exception):  # noqa: N818
    """The scribe ended before the answer did, or takes no more requests."""


def _at_once(work: Callable[[], None]) -> None:
    work()


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A request that waits for its first token."""

    request: Request
    prompt: Ids
    rows: tuple[Row, ...]
    stream: Stream


class Scribe:
    """Answers many requests at once (continuous batching): new ones join between two tokens of the others.

    An answer depends on its request alone, not on what else is written. Models that cannot read prompts side
    by side answer one request after the other. While it is open, no other thread may use the writer's
    tokenizer; `close`, or leaving the `with` block, ends its thread.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        batch_tokens: int | None = None,
        most_choices: int = 16,
        max_waiting: int = 256,
        in_turn: Callable[[Callable[[], None]], None] = _at_once,
    ) -> None:
        """`batch_tokens`, padding included, are held at once, by default as many as the writer holds.

        Whatever computes is given to `in_turn`, which comes back when it is done: so several models that
        answer on one machine can take turns.
        """
        self._writer = writer
        self._most_choices, self._max_waiting = most_choices, max_waiting
        self._vocabulary = Vocabulary(writer.generator)
        self._batch = Batch(writer.generator.model, batch_tokens or writer.micro_batch_tokens)
        self._in_turn = in_turn
        self._waiting: deque[_Asked] = deque()
        self._tokenizing = Lock()
        self._constraints = Constraints(writer.generator, self._vocabulary, self._tokenizing)
        self._changed = Condition()
        self._is_open = True
        writer.generator.model.eval()
        self._thread = Thread(target=self._run, name="scribe", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Requests that wait for their first token."""
        return len(self._waiting)

    @property
    def writing(self) -> int:
        """Answers that are being written."""
        return len(self._batch)

    def submit(self, request: Request) -> Stream:
        """Let a request be answered; tokenises its prompt in the thread that calls.

        An answer ends where its turn ends, before a stop text, or where prompt and answer have the writer's
        `max_tokens`. Raises ConfigError: `prompt-too-long`, `bad-decoding`, `bad-schema`, `studio-extra`;
        BaseError where the template fails; `Busy` and `Closed`.
        """
        self._refuse_unknown(request)
        prompt = self._prompt(request)
        stream = Stream(len(prompt), request.choices)
        asked = _Asked(request, prompt, tuple(self._rows(request, prompt, stream)), stream)
        with self._changed:
            self._refuse_when_full()
            self._waiting.append(asked)
            self._changed.notify()
        return stream

    def close(self) -> None:
        """End after the token that is being written; whoever still waits hears Closed."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join()

    def _refuse_unknown(self, request: Request) -> None:
        count = self._writer.generator.model.config.get_text_config().vocab_size
        given = [] if request.prompt is None or isinstance(request.prompt, str) else request.prompt
        faults = [
            f"{name} names token {token}, and the model has {count:,}"
            for name, tokens in (("prompt", given), ("logit_bias", request.logit_bias))
            for token in dict.fromkeys(tokens)
            if not 0 <= token < count
        ]
        if request.choices > self._most_choices:
            faults.append(f"choices is {request.choices}, and may be {self._most_choices}")
        refuse_faults(faults)

    def _prompt(self, request: Request) -> Ids:
        most = self._writer.max_tokens
        room = 0 if request.max_new_tokens == 0 else 1
        if request.prompt is not None and not isinstance(request.prompt, str):
            ids, length = np.asarray(request.prompt, np.int32), len(request.prompt)
        else:
            with self._tokenizing:
                encoded = self._encoded(request, room)
            ids, length = encoded[0], int(encoded.lengths[0] + encoded.cut[0])
        if length > most - room:
            what = f"the prompt has {length:,} tokens, and prompt and answer together have at most {most:,}"
            fix = "give a shorter prompt, or train with a larger max_tokens"
            raise ConfigError(Problem("prompt-too-long", what, "the prompt", fix))
        return ids

    def _encoded(self, request: Request, room: int) -> Encoded:
        if isinstance(request.prompt, str):
            return encode(self._writer.generator.tokenizer, [request.prompt], self._writer.max_tokens - room)
        assert request.messages is not None
        return self._writer.encode([request.messages], room)

    def _rows(self, request: Request, prompt: Ids, stream: Stream) -> Iterator[Row]:
        room = self._writer.max_tokens - len(prompt)
        limit = room if request.max_new_tokens is None else min(request.max_new_tokens, room)
        matchers = self._constraints.matchers(request.constraint, request.choices)
        for index, matcher in enumerate(matchers):
            yield Row(Choice(request, index, prompt, limit, self._vocabulary, matcher), stream)

    def _refuse_when_full(self) -> None:
        if not self._is_open:
            raise Closed("the model no longer answers")
        if len(self._waiting) >= self._max_waiting:
            # who has gone takes no place
            self._waiting = deque(asked for asked in self._waiting if not asked.stream.closed)
        if len(self._waiting) >= self._max_waiting:
            raise Busy(f"{len(self._waiting):,} requests wait already")

    def _run(self) -> None:
        while self._next_requests():
            try:
                self._in_turn(self._batch.step)
            except Exception as error:  # noqa: BLE001 -- whatever it is, whoever asked must hear it
                _log.error("a step failed with %s", type(error).__name__)
                self._end_all(error)
        self._end_all(Closed("the model no longer answers"))

    def _next_requests(self) -> bool:
        """Take what there is room for, once there is anything to do; False: no more is to be done."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or len(self._batch) or not self._is_open)
        while self._is_open and self._batch.has_room and (asked := self._pop()):
            self._begin(asked)
        return self._is_open

    def _pop(self) -> _Asked | None:
        with self._changed:
            while self._waiting:
                asked = self._waiting.popleft()
                if not asked.stream.closed:
                    return asked
            return None

    def _begin(self, asked: _Asked) -> None:
        try:
            if asked.request.echo:
                self._in_turn(partial(self._echo, asked))
        except Exception as error:  # noqa: BLE001 -- as above
            asked.stream.fail(error)
        self._batch.add([row for row in asked.rows if row.choice.limit])

    def _echo(self, asked: _Asked) -> None:
        prompt, count = asked.prompt.tolist(), asked.request.logprobs
        model = self._writer.generator.model
        about = [Told()] * len(prompt) if count is None else prompt_told(model, asked.prompt, count)
        text, tokens = echoed(self._vocabulary, prompt, about)
        for row in asked.rows:
            ends: Finish | None = None if row.choice.limit else "length"
            asked.stream.put(Piece(row.choice.index, text, tokens, ends))

    def _end_all(self, error: Exception) -> None:
        for row in self._batch.rows:
            row.stream.fail(error)
        self._batch.clear()
        if not self._is_open:
            while asked := self._pop():
                asked.stream.fail(error)
