"""One optimizer step: in micro-batches that fit into memory, and only where all is finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tunesmith.errors import ConfigError, DataError, Problem, UserError
from tunesmith.model.encode import micro_batches
from tunesmith.processes import ALONE, Processes
from tunesmith.training.batches import Rows
from tunesmith.training.faults import bad_loss, out_of_memory
from tunesmith.training.loss_scale import LossScale
from tunesmith.training.memory import is_out_of_memory, release_memory
from tunesmith.training.objective import Objective
from tunesmith.training.parallel import Spread, trained
from tunesmith.training.precision import autocast
from tunesmith.training.shares import shares

if TYPE_CHECKING:
    from tunesmith.training.state import LoopSettings

__all__ = ["Stepper"]

_MOST_ROWS_NAMED = 10
# the seeds of two processes never meet: no run has as many steps
_PROCESS_STRIDE = 0x1E3779B97F4A7C15


class _Failed(NamedTuple):
    """What came of a process's share of a step besides gradients, where it did not go well."""

    too_large: Rows | None = None
    """The micro-batch that did not fit into memory"""
    fault: DataError | None = None


@dataclass(slots=True)
class Stepper:
    """Takes steps with one model and optimizer, in micro-batches that shrink when memory runs out.

    Of several processes each takes a share of a step's rows, and what one of them meets, all heed: they
    halve their micro-batches together, and end together.
    """

    spread: Spread
    optimizer: Any
    objective: Objective
    settings: LoopSettings
    where: Callable[[int], str]
    """row -> where it came from"""
    on_note: Callable[[str], None]
    micro_batch_tokens: int
    """The budget; a run goes on with the one that memory bore, so it belongs into checkpoints."""
    loss_scale: LossScale = field(default_factory=LossScale)
    processes: Processes = ALONE

    def take(self, step: int, rows: Rows, learning_rate: float) -> float:
        """Step over `rows`; returns the mean loss before it. Where fp16 overflows, the weights stay.

        Raises DataError `bad-loss` where loss or gradients are not finite, with the weights as they were,
        and ConfigError `out-of-memory` where not even one row fits.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.spread.model.train()
        weight = self.objective.weight(rows.tolist())
        loss = self._gradients(step, rows, weight)
        self.spread.sum_gradients()
        self.loss_scale.undo(trained(self.spread.model).values())
        norm = self._clipped_norm()
        if not self.loss_scale.backs_off(norm):
            self._refuse_endless(norm, step, rows)
            self.optimizer.step()
        self.optimizer.zero_grad()
        return loss / weight

    def _refuse_endless(self, norm: float, step: int, rows: Rows) -> None:
        if not math.isfinite(norm):
            self.optimizer.zero_grad()
            raise self._bad("norm of the gradients", norm, step, rows)

    def _clipped_norm(self) -> float:
        from torch.nn.utils import clip_grad_norm_

        parameters, most = list(trained(self.spread.model).values()), self.settings.max_gradient_norm
        norm: float | None = self.optimizer.clip(parameters, most)
        if norm is None:
            norm = float(self.spread.whole(clip_grad_norm_(parameters, most)))
        return norm

    def _gradients(self, step: int, rows: Rows, weight: float) -> float:
        """Leave this process's gradients of the mean loss; returns the loss summed over all rows."""
        before = self.micro_batch_tokens
        while True:
            self._seed(step)
            loss, failed = self._accumulate(step, rows, weight)
            budget = self._agreed_budget(failed)
            if budget is None:
                break
            self.optimizer.zero_grad()
            release_memory()
            self.micro_batch_tokens = budget
        if self.micro_batch_tokens < before:
            self.on_note(
                f"memory ran out at step {step + 1}: micro-batches hold at most "
                f"{self.micro_batch_tokens:,} tokens from here on, not {before:,}; gradients stay the same"
            )
        return float(self.processes.gather([loss]).sum())

    def _seed(self, step: int) -> None:
        import torch

        # dropout is a function of (seed, step, process): a resumed run draws what an uninterrupted one would
        seed = self.settings.seed * 1_000_003 + step + self.processes.rank * _PROCESS_STRIDE
        torch.manual_seed(seed % 2**63)

    def _agreed_budget(self, failed: _Failed) -> int | None:
        """The smaller budget to take the step again with, None where it went well in every process."""
        fault: UserError | None = failed.fault
        budget = math.inf
        try:
            if failed.too_large is not None:
                budget = self._half_of(failed.too_large)
        except ConfigError as error:
            fault = error
        if fault is not None:
            self.optimizer.zero_grad()
        self.processes.agree(fault)
        smallest = float(self.processes.gather([budget]).min())
        return None if math.isinf(smallest) else int(smallest)

    def _accumulate(self, step: int, rows: Rows, weight: float) -> tuple[float, _Failed]:
        """The summed loss of this process's share of `rows`, and what went wrong."""
        total, failed = 0.0, _Failed()
        parts = shares(self.objective.lengths[rows], self.processes.count)
        groups = [self._groups(rows[part]) for part in parts]
        mine = groups[self.processes.rank]
        for group in mine:
            loss = self._backward(group, weight)
            if loss is None:
                if self.spread.in_step:
                    raise self._left_behind(group)
                return total, _Failed(too_large=group)
            if not math.isfinite(loss):
                failed = _Failed(fault=self._bad("loss", loss, step, group))
                if not self.spread.in_step:
                    break
            total += loss
        if self.spread.in_step:
            self._keep_in_step(rows, max(map(len, groups)) - len(mine))
        return total, failed

    def _groups(self, rows: Rows) -> list[Rows]:
        lengths = self.objective.lengths[rows]
        groups = micro_batches(lengths, self.micro_batch_tokens, packed=self.settings.packed)
        return [rows[group] for group in groups]

    def _keep_in_step(self, rows: Rows, passes: int) -> None:
        """Passes that count for nothing, for the sake of processes that have more to do."""
        shortest = rows[[int(self.objective.lengths[rows].argmin())]]
        for _ in range(passes):
            self._backward(shortest, math.inf)

    def _backward(self, rows: Rows, weight: float) -> float | None:
        """Add the gradients of one micro-batch; returns its summed loss, or None where memory ran out."""
        from accelerate import PartialState
        from torch.autograd import backward

        try:
            with autocast(PartialState().device, self.settings.precision):
                loss = self.spread.run(lambda model: self.objective.loss(model, rows.tolist()))
            # divided by the weight of the whole step: accumulation changes nothing
            backward(loss * self.spread.factor * self.loss_scale.value / weight)
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
            raise out_of_memory(what, self.where(int(rows[0])))
        cost = lengths.sum() if self.settings.packed else len(rows) * lengths.max()
        return int(cost) // 2

    def _left_behind(self, rows: Rows) -> ConfigError:
        """The others wait in the midst of a pass that this process cannot take: nothing can be agreed on."""
        tokens = int(self.objective.lengths[rows].sum())
        what = f"memory ran out in a micro-batch of {tokens:,} tokens, and `parallel: fsdp` cannot halve it"
        fix = f"begin anew with a smaller one: --set micro_batch_tokens={max(1, tokens // 2)}"
        return ConfigError(Problem("out-of-memory", what, self._named(rows), fix))

    def _bad(self, name: str, value: float, step: int, rows: Rows) -> DataError:
        return bad_loss(f"the {name} became {value} at step {step + 1}", self._named(rows), len(rows))

    def _named(self, rows: Rows) -> str:
        """Where the rows came from: the first few in order, and how many more there are."""
        named = [self.where(int(row)) for row in np.sort(rows)[:_MOST_ROWS_NAMED]]
        more = len(rows) - len(named)
        return ", ".join(named) + (f" (and {more} more rows)" if more else "")
