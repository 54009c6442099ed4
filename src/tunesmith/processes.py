"""The processes of one run, as torchrun starts them: which one this is, and what they settle among them.

Numbers and texts travel as tensors and JSON, never pickled. What every process computes for itself, such as
the data it reads, is not sent at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tunesmith import errors
from tunesmith.errors import Problem, ProcessError, UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

__all__ = ["ALONE", "Processes"]

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_FAREWELL_SECONDS = 5.0
_POLL_SECONDS = 0.02
# gradients are summed in pieces of this size: few messages, little to hold twice
_BUCKET_ELEMENTS = 1 << 25
# gloo and NCCL tell a lost peer only in words
_LOST = ("gloo", "NCCL", "Connection reset", "Connection closed", "Broken pipe")


class Processes:
    """All processes of a run as one of them sees them; every method is called by all, in the same order."""

    def __init__(self, rank: int = 0, count: int = 1, store: Any = None, *, on_this_machine: int = 1) -> None:
        self.rank, self.count, self.on_this_machine = rank, count, on_this_machine
        self._store, self._answers, self._is_lost = store, 0, False

    @property
    def is_main(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    def gather(self, values: Sequence[float]) -> npt.NDArray[np.float64]:
        """(processes, values): what each of them has."""
        import numpy as np
        import torch

        if self.count == 1:
            return np.asarray([values], np.float64)
        mine = torch.tensor(values, dtype=torch.float64)
        rows = [torch.empty_like(mine) for _ in range(self.count)]
        with self.lost():
            torch.distributed.all_gather(rows, mine)
        return np.stack([row.numpy() for row in rows])

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over the processes; all are of one type and device."""
        import torch

        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with self.lost():
                torch.distributed.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def send(self, tensor: torch.Tensor) -> torch.Tensor:
        """The main process's tensor, which the others have overwrite theirs, of the same shape and type."""
        import torch

        if self.count > 1:
            with self.lost():
                torch.distributed.broadcast(tensor, 0)
        return tensor

    def turns(self, items: Sequence[ItemT]) -> Iterator[tuple[ItemT, bool]]:
        """This process's share of `items`, each with whether it counts.

        All processes get equally many, so that those who hold a model together move in step: what is
        short is made up with what does not count.
        """
        for first in range(0, len(items), self.count):
            place = first + self.rank
            yield (items[place], True) if place < len(items) else (items[0], False)

    def together(self, work: Callable[[], ResultT]) -> ResultT:
        """What `work` returns here; where it failed in any process, all raise what the first of these did."""
        if self.count == 1:
            return work()
        try:
            result = work()
        except UserError as error:
            self.agree(error)
            raise AssertionError("`agree` raises") from error
        self.agree(None)
        return result

    def agree(self, failure: UserError | None) -> None:
        """Raise the failure of the first process that has one, in all of them."""
        if self.count == 1:
            if failure is not None:
                raise failure
            return
        if self.gather([failure is not None]).any():
            told = self.texts(_as_json(failure) if failure else "")
            raise _from_json(next(text for text in told if text)) from failure

    def from_main(self, work: Callable[[], Any]) -> Any:
        """What `work`, done by the main process only, returns, in all of them; it must be JSON.

        The others wait as long as it takes. A UserError is raised in all.
        """
        if self.count == 1:
            return work()
        self._answers += 1
        key = f"answer-{self._answers}"
        if not self.is_main:
            return self._heard(key)
        try:
            answer = work()
        except UserError as error:
            self._store.set(key, json.dumps({"failure": _as_json(error)}))
            raise
        self._store.set(key, json.dumps({"answer": answer}))
        return answer

    def _heard(self, key: str) -> Any:
        with self.lost():
            # no blocking call: a signal must be heard meanwhile
            while not self._store.check([key]):
                time.sleep(_POLL_SECONDS)
            told = json.loads(self._store.get(key))
        if "failure" in told:
            raise _from_json(told["failure"])
        return told["answer"]

    def texts(self, text: str) -> list[str]:
        """The text of every process, in their order."""
        import torch

        if self.count == 1:
            return [text]
        mine = torch.tensor(list(text.encode()), dtype=torch.uint8)
        lengths = self.gather([len(mine)])[:, 0].astype(int).tolist()
        padded = torch.zeros(max(1, *lengths), dtype=torch.uint8)
        padded[: len(mine)] = mine
        rows = [torch.empty_like(padded) for _ in lengths]
        with self.lost():
            torch.distributed.all_gather(rows, padded)
        return [bytes(row[:length].tolist()).decode() for row, length in zip(rows, lengths, strict=True)]

    def leave(self) -> None:
        """Wait a little for the main process to have told its end: torchrun ends all when one has failed."""
        if self.count == 1:
            return
        try:
            if self.is_main:
                self._store.set("left", "")
            else:
                self._store.wait(["left"], timedelta(seconds=_FAREWELL_SECONDS))
        except RuntimeError:
            return  # it is gone already

    def end(self) -> None:
        """Close what connects the processes, but where one is lost: to take leave of it may take for ever."""
        import torch

        if torch.distributed.is_initialized() and not self._is_lost:
            torch.distributed.destroy_process_group()

    @contextmanager
    def lost(self) -> Iterator[None]:
        """Turn what the network says where another process has ended into a ProcessError."""
        import torch

        try:
            yield
        except RuntimeError as error:
            is_lost = isinstance(error, torch.distributed.DistError) or any(w in str(error) for w in _LOST)
            if self.count == 1 or not is_lost:
                raise
            what = f"another process of the run ended or does not answer: {str(error).splitlines()[0]}"
            fix = "see what it said before, mend that, and go on with the same command and --resume"
            lost = ProcessError(Problem("process-lost", what, f"process {self.rank} of {self.count}", fix))
            lost.agreed = True
            self._is_lost = True
            raise lost from error


ALONE = Processes()
"""A run in one process."""


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    elements = 0
    for tensor in tensors:
        if bucket and elements + tensor.numel() > _BUCKET_ELEMENTS:
            yield bucket
            bucket, elements = [], 0
        bucket.append(tensor)
        elements += tensor.numel()
    if bucket:
        yield bucket


def _as_json(error: UserError) -> str:
    values = {"kind": type(error).__name__, "problems": [asdict(problem) for problem in error.problems]}
    return json.dumps(values)


def _from_json(text: str) -> UserError:
    values: Mapping[str, Any] = json.loads(text)
    kind = getattr(errors, values["kind"])
    error: UserError = kind([Problem(**problem) for problem in values["problems"]])
    error.agreed = True
    return error
