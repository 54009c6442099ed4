"""The loop, on accelerate: one loop for every task, method and device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tunesmith.training.batches import Plan, Rows
from tunesmith.training.checkpoint import FORMAT, SAVE_SECONDS, Checkpoint, Checkpoints
from tunesmith.training.memory import keep_freed_memory, peak_memory_bytes
from tunesmith.training.objective import Objective
from tunesmith.training.resume import refuse_changes
from tunesmith.training.step import Stepper, bad_loss, memory_errors

if TYPE_CHECKING:
    import torch

__all__ = [
    "Fitted",
    "Interrupted",
    "LoopSettings",
    "Progress",
    "fit",
    "learning_rate_at",
    "weight_decay_left",
]

_LOGGED_STEPS = 200


class Interrupted(Exception):  # noqa: N818 (it is no error: the user asked for it)
    """The user stopped the run; a checkpoint of the last whole step is on disk."""

    def __init__(self, step: int, total_steps: int) -> None:
        self.step = step
        self.total_steps = total_steps
        super().__init__(f"stopped after step {step} of {total_steps}")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands; losses are means of what they are measured on."""

    step: int
    total_steps: int
    epoch: int
    train_loss: float
    learning_rate: float
    tokens_per_second: float
    validation: Mapping[str, float] | None = None
    """What `evaluate` found, where it ran after this step."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The part of a recipe that the loop needs, all of it resolved."""

    learning_rate: float
    schedule: Literal["linear", "cosine"]
    warmup_fraction: float
    micro_batch_tokens: int
    weight_decay: float
    max_gradient_norm: float
    precision: Literal["fp32", "bf16"]
    seed: int
    early_stopping: int
    head_learning_rate_factor: float = 1.0
    evaluations_per_epoch: int = 1
    packed: bool = False
    """Texts are laid end to end without padding: a forward pass costs the sum of their tokens."""


@dataclass(slots=True)
class _State:
    """What changes from step to step besides weights and optimizer."""

    step: int = 0
    best_step: int = 0
    best_score: float | None = None
    evaluations_since_best: int = 0
    seconds: float = 0.0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    micro_batch_tokens: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fitted:
    """How training went; the model holds the best weights when `fit` returns."""

    step: int
    best_step: int
    seconds: float
    tokens: int
    history: list[dict[str, float]]
    stopped_early: bool
    peak_memory_bytes: int


def learning_rate_at(step: int, total_steps: int, settings: LoopSettings) -> float:
    """The learning rate of one step: a rise over the warm-up, then a fall to zero."""
    warmup = round(settings.warmup_fraction * total_steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total_steps - warmup)
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - done)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def weight_decay_left(steps: int, total_steps: int, settings: LoopSettings) -> float:
    """What AdamW's weight decay alone leaves of a weight after `steps` of `total_steps`."""
    rates = (learning_rate_at(step, total_steps, settings) for step in range(steps))
    return math.prod(1 - rate * settings.weight_decay for rate in rates)


def fit(
    model: Any,
    objective: Objective,
    plan: Plan,
    settings: LoopSettings,
    *,
    evaluate: Callable[[Any], Mapping[str, float]],
    checkpoints: Checkpoints,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    where: Callable[[int], str] = lambda row: f"row {row}",
    on_note: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Train `model` in place and leave it with the weights that `evaluate` scored best.

    `evaluate(model)` returns figures, of which `score` (higher is better) chooses the best weights.
    With `resume`, goes on from the newest whole checkpoint. `should_stop` is asked after each step:
    where it answers True, a checkpoint is written and Interrupted raised. `where` names a row of the
    objective in errors; `on_note` hears what people should know.
    Raises ResumeError where the checkpoint is of another model, plan or settings, DataError where loss or
    gradients are not finite, ConfigError where not even a single row fits into memory, StorageError.
    """
    keep_freed_memory()
    checkpoints.sweep()
    with memory_errors(str(checkpoints.directory)):
        loop = _Loop(model, objective, plan, settings, checkpoints, where, on_note)
        if resume:
            loop.restore()
        return loop.run(evaluate, on_progress, should_stop)


class _Loop:
    def __init__(
        self,
        model: Any,
        objective: Objective,
        plan: Plan,
        settings: LoopSettings,
        checkpoints: Checkpoints,
        where: Callable[[int], str],
        on_note: Callable[[str], None],
    ) -> None:
        from accelerate import Accelerator

        self.accelerator = Accelerator(mixed_precision="no")
        self.settings, self.plan, self.objective = settings, plan, objective
        self.checkpoints, self.on_note = checkpoints, on_note
        self.state = _State(micro_batch_tokens=settings.micro_batch_tokens)
        self.model, self.optimizer = self.accelerator.prepare(model, _optimizer(model, settings))
        self.stepper = Stepper(
            self.accelerator,
            self.model,
            self.optimizer,
            objective,
            settings,
            where,
            on_note,
            settings.micro_batch_tokens,
        )
        self._saved_at = time.monotonic()

    def run(
        self,
        evaluate: Callable[[Any], Mapping[str, float]],
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Fitted:
        for step, epoch, rows in self.plan.steps_from(self.state.step):
            if self._is_over():
                break
            loss, learning_rate = self._timed_step(step, rows)
            validation = self._evaluate(evaluate, epoch) if self._is_evaluation(step + 1) else None
            if validation is None and self._is_logged():
                self._log(epoch, {})
            on_progress(self._progress(epoch, loss, learning_rate, validation))
            self._save_when_due(validation is not None, should_stop())
        return self._finish()

    def _timed_step(self, step: int, rows: Rows) -> tuple[float, float]:
        started = time.monotonic()
        learning_rate = learning_rate_at(step, self.plan.total_steps, self.settings)
        loss = self.stepper.take(step, rows, learning_rate)
        state = self.state
        state.step = step + 1
        state.micro_batch_tokens = self.stepper.micro_batch_tokens
        state.seconds += time.monotonic() - started
        state.tokens += int(self.objective.lengths[rows].sum())
        state.loss_sum += loss
        state.loss_steps += 1
        return loss, learning_rate

    def _is_evaluation(self, done: int) -> bool:
        every = max(1, self.plan.steps_per_epoch // self.settings.evaluations_per_epoch)
        return done == self.plan.total_steps or (done % self.plan.steps_per_epoch) % every == 0

    def _evaluate(self, evaluate: Callable[[Any], Mapping[str, float]], epoch: int) -> Mapping[str, float]:
        self.model.eval()
        figures = evaluate(self.accelerator.unwrap_model(self.model))
        state = self.state
        if not all(math.isfinite(value) for value in figures.values()):
            raise bad_loss(f"validation after step {state.step} gave {dict(figures)}", self._place())
        state.evaluations_since_best += 1
        if state.best_score is None or figures["score"] > state.best_score:
            state.best_score, state.best_step, state.evaluations_since_best = figures["score"], state.step, 0
            self.checkpoints.save_best(state.step, self._weights())
        self._log(epoch, {name: value for name, value in figures.items() if name != "score"})
        return figures

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
        total = self.plan.total_steps
        return Progress(self.state.step, total, epoch + 1, loss, learning_rate, speed, validation)

    def _save_when_due(self, evaluated: bool, stop: bool) -> None:
        if evaluated or stop or time.monotonic() - self._saved_at > SAVE_SECONDS:
            self._save()
        if stop:
            raise Interrupted(self.state.step, self.plan.total_steps)

    def _save(self) -> None:
        weights = self._weights()
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise bad_loss(f"the weights are not finite after step {self.state.step}", self._place())
        state = asdict(self.state) | {"made_with": self._made_with()}
        self.checkpoints.save(Checkpoint(self.state.step, weights, self._moments(), state))
        self._saved_at = time.monotonic()

    def _place(self) -> str:
        return str(self.checkpoints.directory)

    def _made_with(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be gone on from."""
        plan = self.plan
        plan_values = {
            "rows": len(plan.lengths),
            "tokens": int(plan.lengths.sum()),
            "epochs": plan.epochs,
            "batch_tokens": plan.batch_tokens,
            "seed": plan.seed,
        }
        return {"format": FORMAT, "plan": plan_values, "settings": asdict(self.settings)}

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        """What trains, by name; all else stays as the base has it and is in no checkpoint."""
        model = self.accelerator.unwrap_model(self.model)
        # named_parameters lists tied weights once, as safetensors wants them
        return {name: value for name, value in model.named_parameters() if value.requires_grad}

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().cpu().contiguous() for name, value in self._trained().items()}

    def _moments(self) -> dict[str, torch.Tensor]:
        moments: dict[str, torch.Tensor] = {}
        for name, value in self._trained().items():
            for key, moment in self.optimizer.state[value].items():
                moments[f"{key}/{name}"] = moment.detach().cpu().contiguous()
        return moments

    def restore(self) -> None:
        """Go back to the newest whole checkpoint, or to the start where there is none."""
        checkpoint = self.checkpoints.newest(self.on_note)
        if checkpoint is None:
            self.on_note("no checkpoint is there to go on from: training begins at its first step")
            return
        parameters = self._trained()
        self._refuse_another(checkpoint, parameters)
        self.state = _State(**{name: checkpoint.state[name] for name in asdict(self.state)})
        self.stepper.micro_batch_tokens = self.state.micro_batch_tokens
        _copy_into(parameters, checkpoint.model)
        for key, moment in checkpoint.optimizer.items():
            kind, name = key.split("/", 1)
            self.optimizer.state[parameters[name]][kind] = moment.to(parameters[name].device)
        self.on_note(f"going on after step {self.state.step} of {self.plan.total_steps}")

    def _refuse_another(self, checkpoint: Checkpoint, parameters: Mapping[str, torch.Tensor]) -> None:
        """Raise ResumeError with every difference where the checkpoint is not of this run."""
        before = checkpoint.state.get("made_with", {}) | {"weights": _shapes(checkpoint.model)}
        now = self._made_with() | {"weights": _shapes(parameters)}
        refuse_changes(before, now, self.checkpoints.directory / f"step-{checkpoint.step:08d}")

    def _finish(self) -> Fitted:
        state = self.state
        if state.best_step and state.best_step != state.step:
            parameters = self._trained()
            _copy_into(parameters, self.checkpoints.best(state.best_step))
        self.model.eval()
        early = state.step < self.plan.total_steps
        return Fitted(
            step=state.step,
            best_step=state.best_step,
            seconds=state.seconds,
            tokens=state.tokens,
            history=state.history,
            stopped_early=early,
            peak_memory_bytes=peak_memory_bytes(),
        )


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in tensors.items()}


def _copy_into(parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    import torch

    assert parameters.keys() == values.keys(), "the checkpoint is of another model"
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])


def _optimizer(model: Any, settings: LoopSettings) -> Any:
    """AdamW; decay on matrices only, and a learning rate of its own for the head."""
    import torch

    groups: dict[tuple[bool, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (parameter.ndim >= 2, name.startswith("score."))
            groups.setdefault(key, []).append(parameter)
    described = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if is_matrix else 0.0,
            "factor": settings.head_learning_rate_factor if is_head else 1.0,
        }
        for (is_matrix, is_head), parameters in groups.items()
    ]
    return torch.optim.AdamW(described, lr=settings.learning_rate, fused=True)
