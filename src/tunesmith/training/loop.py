"""The loop, on accelerate: one loop for every task, method and device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.processes import ALONE, Processes
from tunesmith.recipe import Parallel
from tunesmith.training.batches import Plan, Rows
from tunesmith.training.checkpoint import Checkpoints, KeptEpochs
from tunesmith.training.faults import bad_loss, memory_errors
from tunesmith.training.loss_scale import LossScale
from tunesmith.training.memory import keep_freed_memory, peak_memory_bytes
from tunesmith.training.objective import Objective
from tunesmith.training.optimizer import learning_rate_at, optimizer_for
from tunesmith.training.parallel import Spread, spread
from tunesmith.training.saving import OnSaved, Saver
from tunesmith.training.state import Fitted, Interrupted, LoopSettings, Progress, State
from tunesmith.training.step import Stepper

__all__ = ["Fitted", "Interrupted", "LoopSettings", "Progress", "fit"]

_LOGGED_STEPS = 200

Evaluate = Callable[[Any], Mapping[str, float]]


def fit(
    model: Any,
    objective: Objective,
    plan: Plan,
    settings: LoopSettings,
    *,
    evaluate: Evaluate | None,
    checkpoints: Checkpoints,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    where: Callable[[int], str] = lambda row: f"row {row}",
    on_note: Callable[[str], None] = lambda _: None,
    processes: Processes = ALONE,
    parallel: Parallel | None = None,
    on_checkpoint: OnSaved = lambda _step, _directory: None,
    on_best: OnSaved = lambda _step, _directory: None,
    epochs: KeptEpochs | None = None,
) -> Fitted:
    """Train `model` in place and leave it with the weights that `evaluate` scored best.

    `evaluate(model)` returns figures, of which `score` (higher is better) chooses the best weights; without
    it, without a score, and where the last are to be kept, all steps are taken, and the weights are those
    after the last.
    With `resume`, goes on from the newest whole checkpoint. `should_stop` is asked after each step:
    where it answers True, a checkpoint is written and Interrupted raised. `where` names a row of the
    objective in errors; `on_note` hears what people should know, `on_checkpoint` and `on_best` where
    checkpoints and the best weights were saved. The weights after each epoch are kept in `epochs`. Several
    `processes` call this alike: they take a share of every step each, stop together, and all end with the
    same weights.
    Raises ResumeError where the checkpoint is of another model, plan or settings, DataError where loss or
    gradients are not finite, ConfigError where not even a single row fits into memory, StorageError, and
    ProcessError where another process is lost.
    """
    keep_freed_memory()
    processes.from_main(checkpoints.sweep)
    if epochs is not None:
        processes.from_main(epochs.sweep)
    with processes.lost(), memory_errors(str(checkpoints.directory)):
        spread_model = spread(model, parallel, processes)
        loop = _Loop(spread_model, objective, plan, settings, checkpoints, where, on_note, processes)
        loop.saver.on_checkpoint, loop.saver.on_best, loop.saver.epochs = on_checkpoint, on_best, epochs
        if resume:
            loop.restore()
        return loop.run(evaluate, on_progress, should_stop)


class _Loop:
    def __init__(
        self,
        spread_model: Spread,
        objective: Objective,
        plan: Plan,
        settings: LoopSettings,
        checkpoints: Checkpoints,
        where: Callable[[int], str],
        on_note: Callable[[str], None],
        processes: Processes,
    ) -> None:
        self.settings, self.plan, self.objective = settings, plan, objective
        self.state = State(micro_batch_tokens=settings.micro_batch_tokens)
        self.spread, self.processes = spread_model, processes
        optimizer = optimizer_for(spread_model.model, settings)
        self.stepper = Stepper(
            spread_model,
            optimizer,
            objective,
            settings,
            where,
            on_note,
            settings.micro_batch_tokens,
            LossScale.of(settings.precision),
            processes,
        )
        self.saver = Saver(spread_model, optimizer, plan, settings, checkpoints, on_note, processes)

    def run(
        self,
        evaluate: Evaluate | None,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Fitted:
        for step, epoch, rows in self.plan.steps_from(self.state.step):
            if self._is_over():
                break
            loss, learning_rate = self._timed_step(step, rows)
            due = self._is_evaluation(step + 1)
            validation = self._evaluate(evaluate, epoch) if evaluate and due else None
            if validation is None and (due or self._is_logged()):
                self._log(epoch, {})
            on_progress(self._progress(epoch, loss, learning_rate, validation))
            if (step + 1) % self.plan.steps_per_epoch == 0:
                self.saver.save_epoch(epoch + 1, self.state)
            # saving checks that the weights are finite: those that are kept must have been
            is_last = step + 1 == self.plan.total_steps
            self._save_when_due(validation is not None or is_last, should_stop())
        return self._finish()

    def _timed_step(self, step: int, rows: Rows) -> tuple[float, float]:
        started = time.monotonic()
        learning_rate = learning_rate_at(step, self.plan.total_steps, self.settings)
        loss = self.stepper.take(step, rows, learning_rate)
        state = self.state
        state.step = step + 1
        state.micro_batch_tokens = self.stepper.micro_batch_tokens
        scale = self.stepper.loss_scale
        state.loss_scale, state.good_steps = scale.value, scale.good_steps
        state.seconds += time.monotonic() - started
        state.tokens += int(self.objective.lengths[rows].sum())
        state.loss_sum += loss
        state.loss_steps += 1
        return loss, learning_rate

    def _is_evaluation(self, done: int) -> bool:
        every = max(1, self.plan.steps_per_epoch // self.settings.evaluations_per_epoch)
        return done == self.plan.total_steps or (done % self.plan.steps_per_epoch) % every == 0

    def _evaluate(self, evaluate: Evaluate, epoch: int) -> Mapping[str, float]:
        state, figures = self.state, self._figures(evaluate)
        if not all(math.isfinite(value) for value in figures.values()):
            raise bad_loss(f"validation after step {state.step} gave {dict(figures)}", self.saver.place)
        if self.settings.keep == "best" and "score" in figures:
            self._choose(figures["score"])
        self._log(epoch, {name: value for name, value in figures.items() if name != "score"})
        return figures

    def _choose(self, score: float) -> None:
        """Keep the weights, where they are the best so far."""
        state = self.state
        state.evaluations_since_best += 1
        if state.best_score is None or score > state.best_score:
            state.best_score, state.best_step, state.evaluations_since_best = score, state.step, 0
            self.saver.save_best(state.step)

    def _figures(self, evaluate: Callable[[Any], Mapping[str, float]]) -> dict[str, float]:
        self.spread.model.eval()
        figures = self.spread.run(evaluate)
        # what is best, and when to stop, must not hang on how another machine rounds
        agreed = self.processes.gather(list(figures.values()))[0]
        return dict(zip(figures, agreed.tolist(), strict=True))

    def _log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Add a row to the history; its training loss is the mean since the row before."""
        state = self.state
        rate = learning_rate_at(state.step - 1, self.plan.total_steps, self.settings)
        row = {"step": state.step, "epoch": epoch + 1, "learning_rate": rate}
        state.history.append({**row, "train_loss": state.loss_sum / state.loss_steps, **figures})
        state.loss_sum, state.loss_steps = 0.0, 0

    def _is_logged(self) -> bool:
        return self.state.step % max(1, self.plan.total_steps // _LOGGED_STEPS) == 0

    def _is_over(self) -> bool:
        patience = self.settings.early_stopping
        return bool(patience) and self.state.evaluations_since_best >= patience

    def _progress(
        self, epoch: int, loss: float, learning_rate: float, validation: Mapping[str, float] | None
    ) -> Progress:
        speed = self.state.tokens / max(1e-9, self.state.seconds)
        total, history = self.plan.total_steps, self.state.history
        logged = history[-1] if history and history[-1]["step"] == self.state.step else None
        return Progress(self.state.step, total, epoch + 1, loss, learning_rate, speed, validation, logged)

    def _save_when_due(self, wanted: bool, asked: bool) -> None:
        stops, dues = self.processes.gather([asked, self.saver.is_due]).T
        stop = bool(stops.any())
        if wanted or stop or dues[0]:
            self.saver.save(self.state)
        if stop:
            raise Interrupted(self.state.step, self.plan.total_steps)

    def restore(self) -> None:
        """Go back to the newest whole checkpoint, or to the start where there is none."""
        state = self.saver.restore()
        if state is not None:
            self.state = state
            self.stepper.micro_batch_tokens = state.micro_batch_tokens
            self.stepper.loss_scale = LossScale(state.loss_scale, state.good_steps)

    def _finish(self) -> Fitted:
        state = self.state
        if state.best_step and state.best_step != state.step:
            self.saver.restore_best(state.best_step)
        self.spread.finish()
        early = state.step < self.plan.total_steps
        return Fitted(
            step=state.step,
            best_step=state.best_step,
            seconds=state.seconds,
            tokens=state.tokens,
            history=state.history,
            stopped_early=early,
            peak_memory_bytes=int(self.processes.gather([peak_memory_bytes()]).max()),
        )
