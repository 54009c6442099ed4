"""A model that writes, as something that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from tunesmith.api.refusal import STATUS, Refusal, draining
from tunesmith.api.turns import Turns
from tunesmith.errors import UserError
from tunesmith.scribe.request import Request
from tunesmith.scribe.scribe import Busy, Closed, Scribe
from tunesmith.scribe.stream import Stream
from tunesmith.studio.answering.asked import MOST_CHOICES
from tunesmith.studio.answering.question import Question
from tunesmith.writer import Writer

__all__ = ["WriterAnswers"]

_USUAL_TEMPERATURE = 1.0


class WriterAnswers:
    """A `Scribe` whose steps take turns with the other models of the machine."""

    def __init__(
        self, writer: Writer, turns: Turns, fingerprint: str, *, asked_in_turns: bool = False
    ) -> None:
        """`asked_in_turns`: it has learned to answer prompts as a user's messages, and reads them so."""
        self.fingerprint = fingerprint
        self._asked_in_turns = asked_in_turns
        self._scribe = Scribe(writer, most_choices=MOST_CHOICES, in_turn=turns.taking(_run))
        self._prompts = ThreadPoolExecutor(1, thread_name_prefix="prompt")

    async def start(self) -> None:
        """See Answerer."""

    async def begin(self, question: Question) -> list[Stream]:
        """See Answerer."""
        work = asyncio.get_running_loop().run_in_executor(self._prompts, self._submit, question)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_cancel_all)
            raise

    async def close(self) -> None:
        """See Answerer."""
        self._prompts.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._scribe.close)

    def _submit(self, question: Question) -> list[Stream]:
        streams: list[Stream] = []
        with _refusals("messages" if "echo" not in question.how else "prompt"):
            try:
                for request in question.requests(_USUAL_TEMPERATURE):
                    streams.append(self._scribe.submit(self._as_learned(request)))
            except BaseException:
                for stream in streams:
                    stream.cancel()
                raise
        return streams

    def _as_learned(self, request: Request) -> Request:
        if not (self._asked_in_turns and isinstance(request.prompt, str)):
            return request
        if request.echo:
            message = "`echo` is not for this model: its prompts stand in a template; send tokens to see all"
            raise Refusal("not-supported", message, param="echo")
        return replace(request, prompt=None, messages=[{"role": "user", "content": request.prompt}])


def _run(work: Callable[[], None]) -> None:
    work()


def _cancel_all(work: asyncio.Future[list[Stream]]) -> None:
    if not work.cancelled() and work.exception() is None:
        for stream in work.result():
            stream.cancel()


@contextmanager
def _refusals(param: str) -> Iterator[None]:
    """Tell in the caller's words what keeps a request from being answered."""
    try:
        yield
    except Busy:
        message = "more requests wait for this model than it takes; send this one again in a moment"
        raise Refusal("busy", message, headers={"Retry-After": "1"}) from None
    except Closed:
        raise draining() from None
    except UserError as error:
        first = error.problems[0]
        code = first.code if first.code in STATUS else "bad-field"
        told = "; ".join(f"{problem.what}; {problem.fix}" for problem in error.problems)
        about = "response_format" if code == "bad-schema" or first.code == "studio-extra" else param
        raise Refusal(code, told, param=about) from None
