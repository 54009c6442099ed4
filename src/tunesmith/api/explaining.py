"""Explaining: what the words of a text did for its answer, computed behind all who wait for a label."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, Protocol

from tunesmith.api.refusal import Refusal
from tunesmith.api.turns import Turns
from tunesmith.model.attributions import InTurn, at_once
from tunesmith.model.explanation import Explanation

__all__ = ["COST_TEXTS", "Explain", "Explainer"]

COST_TEXTS = 50
"""So many texts could be classified with the work of one explanation."""
# copies of a long text come to seconds each: fewer of them are looked at, and the gap says what that costs
_MOST_TOKENS = 1 << 16
# a turn has a backward pass, too: so it is no longer than one of those who wait
_SHARE_OF_BATCH = 4


class Explain(Protocol):
    """`Predictor.explain`, of a model that torch computes."""

    def __call__(
        self,
        texts: Sequence[str],
        label: str | None = None,
        *,
        micro_batch_tokens: int | None = None,
        most_tokens: int | None = None,
        in_turn: InTurn = at_once,
    ) -> list[Explanation]:
        """One Explanation a text; what is computed goes through `in_turn`."""


class Explainer:
    """Explains one text at a time of one model, in turns that stand behind all others."""

    def __init__(self, explain: Explain | None, turns: Turns, batch_tokens: int) -> None:
        self._explain = explain
        self._turn = turns.taking(at_once, behind=True)
        self._tokens = max(1, batch_tokens // _SHARE_OF_BATCH)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="explain")

    @property
    def can(self) -> bool:
        """Whether the model has gradients."""
        return self._explain is not None

    def check(self, engine: str | None, labels: Sequence[str], label: str | None) -> None:
        """Raise Refusal where there is nothing to explain with, or no such label."""
        if not self.can:
            what = f"an explanation needs gradients, which {engine or 'this model'} does not compute"
            raise Refusal("no-gradients", f"{what}; serve the model with `--engine torch`")
        if label is not None and label not in labels:
            message = "`label` is not a label of this model; /v1/model lists them"
            raise Refusal("unknown-label", message, param="label")

    async def explain(self, text: str, label: str | None) -> Explanation:
        """What each token did for `label`, else for the likeliest; where it is cancelled, the work ends."""
        gone = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._work, text, label, gone)
        finally:
            gone.set()

    def close(self) -> None:
        """Let the thread end once its turn is done; what still waits is not explained."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _work(self, text: str, label: str | None, gone: threading.Event) -> Explanation:
        assert self._explain is not None, "see `check`"

        def in_turn(work: Callable[[], Any]) -> Any:
            if gone.is_set():
                raise CancelledError
            return self._turn(work)

        (found,) = self._explain(
            [text], label, micro_batch_tokens=self._tokens, most_tokens=_MOST_TOKENS, in_turn=in_turn
        )
        return found
