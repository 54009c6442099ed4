"""One optimizer step: in micro-batches that fit into memory, and only where all is finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.errors import ConfigError, DataError, Problem
from tunesmith.model.encode import micro_batches
from tunesmith.training.batches import Rows
from tunesmith.training.memory import is_out_of_memory, release_memory
from tunesmith.training.objective import Objective
from tunesmith.training.precision import autocast

if TYPE_CHECKING:
    from tunesmith.training.state import LoopSettings

__all__ = ["Stepper", "bad_loss", "memory_errors"]

_MOST_ROWS_NAMED = 10


@dataclass(slots=True)
class Stepper:
    """Takes steps with one model and optimizer, in micro-batches that shrink when memory runs out."""

    accelerator: Any
    model: Any
    optimizer: Any
    objective: Objective
    settings: LoopSettings
    where: Callable[[int], str]
    """row -> where it came from"""
    on_note: Callable[[str], None]
    micro_batch_tokens: int
    """The budget; a run goes on with the one that memory bore, so it belongs into checkpoints."""

    def take(self, step: int, rows: Rows, learning_rate: float) -> float:
        """Step over `rows`; returns the mean loss before it.

        Raises DataError `bad-loss` where loss or gradients are not finite, with the weights as they were,
        and ConfigError `out-of-memory` where not even one row fits.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.model.train()
        weight = self.objective.weight(rows.tolist())
        loss = self._gradients(step, rows, weight)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.max_gradient_norm)
        self._check_finite("norm of the gradients", float(norm), step, rows)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss / weight

    def _gradients(self, step: int, rows: Rows, weight: float) -> float:
        """Leave the gradients of the mean loss; returns the summed loss."""
        import torch

        before = self.micro_batch_tokens
        while True:
            # dropout is a function of (seed, step): a resumed run draws what an uninterrupted one would
            torch.manual_seed(self.settings.seed * 1_000_003 + step)
            loss, too_large = self._accumulate(step, rows, weight)
            if too_large is None:
                break
            self.optimizer.zero_grad()
            release_memory()
            self.micro_batch_tokens = self._half_of(too_large)
        if self.micro_batch_tokens < before:
            self.on_note(
                f"memory ran out at step {step + 1}: micro-batches hold at most "
                f"{self.micro_batch_tokens:,} tokens from here on, not {before:,}; gradients stay the same"
            )
        return loss

    def _accumulate(self, step: int, rows: Rows, weight: float) -> tuple[float, Rows | None]:
        """The summed loss, and the micro-batch that did not fit into memory, where there is one."""
        total = 0.0
        lengths = self.objective.lengths[rows]
        for group in micro_batches(lengths, self.micro_batch_tokens, packed=self.settings.packed):
            loss = self._backward(rows[group], weight)
            if loss is None:
                return total, rows[group]
            self._check_finite("loss", loss, step, rows[group])
            total += loss
        return total, None

    def _backward(self, rows: Rows, weight: float) -> float | None:
        """Add the gradients of one micro-batch; returns its summed loss, or None where memory ran out."""
        try:
            with autocast(self.accelerator.device, self.settings.precision):
                loss = self.objective.loss(self.model, rows.tolist())
            # divided by the weight of the whole step: accumulation changes nothing
            self.accelerator.backward(loss / weight)
            return float(loss.detach())
        except (MemoryError, RuntimeError) as error:
            # no error leaves from here: its frames would keep the memory that the next try needs
            if not is_out_of_memory(error):
                raise
            return None

    def _half_of(self, rows: Rows) -> int:
        """Half the tokens of a micro-batch that did not fit."""
        lengths = self.objective.lengths[rows]
        if len(rows) == 1:
            what = f"not even one row of {int(lengths[0]):,} tokens fits into memory"
            raise _out_of_memory(what, self.where(int(rows[0])))
        cost = lengths.sum() if self.settings.packed else len(rows) * lengths.max()
        return int(cost) // 2

    def _check_finite(self, name: str, value: float, step: int, rows: Rows) -> None:
        if not math.isfinite(value):
            self.optimizer.zero_grad()
            raise bad_loss(f"the {name} became {value} at step {step + 1}", self._named(rows), len(rows))

    def _named(self, rows: Rows) -> str:
        """Where the rows came from: the first few in order, and how many more there are."""
        named = [self.where(int(row)) for row in np.sort(rows)[:_MOST_ROWS_NAMED]]
        more = len(rows) - len(named)
        return ", ".join(named) + (f" (and {more} more rows)" if more else "")


def bad_loss(what: str, where: str, rows: int = 1) -> DataError:
    """Training has left the finite numbers: what became what, and the rows it was seen on."""
    fix = (
        "begin anew with a third of the learning rate and `precision: fp32`, and look at these rows; "
        "nothing of this step is saved, the last good checkpoint is kept"
    )
    return DataError(Problem("bad-loss", what, where, fix, count=rows))


@contextmanager
def memory_errors(where: str) -> Iterator[None]:
    """Turn what smaller micro-batches cannot help, such as the optimizer's moments, into a ConfigError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory("memory ran out where nothing can be cut smaller", where) from error


def _out_of_memory(what: str, where: str) -> ConfigError:
    fix = "lower max_tokens or take a smaller base; or free memory and go on with --resume"
    return ConfigError(Problem("out-of-memory", what, where, fix))
