"""The methods of fine-tuning, in the one place where they differ: what trains, how it begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypedDict, TypeVar

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.faster import use_fast_modules
from tunesmith.model.layers import block_count
from tunesmith.model.learner import Learner
from tunesmith.model.packed import can_pack
from tunesmith.model.recomputing import can_recompute, recomputing
from tunesmith.processes import ALONE, Processes
from tunesmith.recipe import Recipe
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoint, Checkpoints, KeptEpochs
from tunesmith.training.frozen import freeze, frozen_states
from tunesmith.training.head import fit_head
from tunesmith.training.loop import fit
from tunesmith.training.lora import add_adapters, merge_adapters, refuse_targets
from tunesmith.training.objective import LabelObjective, TextObjective
from tunesmith.training.optimizer import weight_decay_left
from tunesmith.training.precision import refuse_emulated
from tunesmith.training.qlora import quantization, refuse_without_peft, refuse_without_qlora, whole_model
from tunesmith.training.saving import OnSaved, put_back
from tunesmith.training.state import Fitted, LoopSettings, Progress
from tunesmith.training.vocabulary import compact_vocabulary

__all__ = [
    "Job",
    "fine_tune",
    "place",
    "quantization_of",
    "refuse_for_preferences",
    "refuse_unavailable",
    "refuse_unfit",
]

_SPILL = "activations.bin"
LearnerT = TypeVar("LearnerT", bound=Learner)


def refuse_unavailable(recipe: Recipe) -> None:
    """Raise BaseError where this machine lacks what the method needs, and ConfigError where it lacks fp16.

    Told before anything is read.
    """
    refuse_emulated(recipe.precision)
    match recipe.method:
        case "lora":
            refuse_without_peft()
        case "qlora":
            refuse_without_qlora()
        case _:
            pass


def quantization_of(recipe: Recipe) -> Any:
    """How the base is to be held; None: as it is."""
    return quantization(recipe) if recipe.method == "qlora" else None


def refuse_unfit(recipe: Recipe, model: Any, processes: int = 1) -> None:
    """Raise ConfigError where the recipe, as resolved, cannot be used with this base or in many processes."""
    if processes > 1:
        _refuse_processes(recipe)
    if recipe.gradient_checkpointing and not can_recompute(model):
        what = f"transformers cannot compute the activations of {model.config.model_type} twice"
        fix = "use `gradient_checkpointing: false` and a smaller `micro_batch_tokens`"
        where = "`gradient_checkpointing` of the recipe"
        raise ConfigError(Problem("no-gradient-checkpointing", what, where, fix))
    match recipe.method:
        case "lora" | "qlora":
            refuse_unavailable(recipe)  # `auto` may have chosen it
            refuse_targets(model, recipe.lora_targets or ())
        case "head" | "head-first" | "frozen" if model.get_output_embeddings() is not None:
            what = f"`{recipe.method}` fits a head to labels, and this task writes text"
            raise _unfit(what, "use `method: full`, `lora` or `qlora`")
        case "frozen":
            _refuse_architecture(recipe, model, fits=can_pack(model))
            _refuse_depth(recipe, block_count(model))
        case "head" | "head-first":
            _refuse_architecture(recipe, model, fits=hasattr(model, "score"))
        case _:
            pass


def refuse_for_preferences(recipe: Recipe, processes: int = 1) -> None:
    """Raise ConfigError where the base could not be asked before it is trained, or not again afterwards."""
    problems = []
    if recipe.adapt is not None:
        what = "preferences are learned against their base, and `adapt` makes one that no name leads back to"
        fix = "adapt the base first with `tunesmith adapt`, and name the result as `base`"
        problems.append(Problem("adapt-first", what, "`adapt` of the recipe", fix))
    if processes > 1 and recipe.parallel == "fsdp":
        what = "`parallel: fsdp` takes the base apart before it could be asked about the preferences"
        fix = "use `parallel: ddp`, or a smaller base"
        problems.append(Problem("method-unfit", what, "`parallel` of the recipe", fix))
    if problems:
        raise ConfigError(problems)


def _refuse_processes(recipe: Recipe) -> None:
    if recipe.adapt is not None:
        what = "`adapt` lets one process read, and several were started"
        fix = "adapt the base first with `tunesmith adapt`, and name the result as `base`"
        raise ConfigError(Problem("one-process", what, "`adapt` of the recipe", fix))
    match recipe.method:
        case "head" | "head-first" | "frozen":
            why = "computes once what stays as it is, which more processes would only repeat"
        case "qlora":
            why = "holds its base in a form that is not spread over processes"
        case _:
            return
    fix = "start it without torchrun, in one process; or use `method: full` or `method: lora`"
    what = f"`{recipe.method}` {why}"
    raise ConfigError(Problem("one-process", what, "`method` of the recipe", fix))


def _refuse_architecture(recipe: Recipe, model: Any, *, fits: bool) -> None:
    if not fits:
        what = (
            f"`{recipe.method}` does not know where the blocks or the head of {model.config.model_type} are"
        )
        raise _unfit(what, "use `method: full` or `method: lora`, or another base")


def _unfit(what: str, fix: str) -> ConfigError:
    return ConfigError(Problem("method-unfit", what, "`method` of the recipe", fix))


def _refuse_depth(recipe: Recipe, blocks: int) -> None:
    assert recipe.frozen_layers is not None
    if recipe.frozen_layers >= blocks:
        what = f"{recipe.frozen_layers} blocks cannot be frozen and one be trained: the base has {blocks}"
        fix = f"freeze at most {blocks - 1}; or train the head alone with `method: head`"
        raise ConfigError(Problem("too-many-frozen", what, "`frozen_layers` of the recipe", fix))


class _Hooks(TypedDict):
    """What the loop and the fit of a head are told alike."""

    evaluate: Callable[[Any], Mapping[str, float]] | None
    checkpoints: Checkpoints
    resume: bool
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job(Generic[LearnerT]):
    """All that a method needs; see `fit` for what `evaluate` and the others are."""

    learner: LearnerT
    recipe: Recipe
    train: TextObjective
    held_out: TextObjective | None
    """What the penalty of a head that is fitted alone is chosen on; None: in turn on parts of `train`"""
    plan: Plan
    settings: LoopSettings
    evaluate: Callable[[Any], Mapping[str, float]] | None
    checkpoints: Checkpoints
    resume: bool = False
    on_progress: Callable[[Progress], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False
    where: Callable[[int], str] = "row {}".format
    on_note: Callable[[str], None] = lambda _: None
    processes: Processes = ALONE
    begin: Callable[[Any, Checkpoints, bool], None] | None = None
    """What is asked of the base before anything trains; see `Lesson`"""
    on_checkpoint: OnSaved = lambda _step, _directory: None
    on_best: OnSaved = lambda _step, _directory: None
    epochs: KeptEpochs | None = None
    kept: Checkpoint | None = None
    """The weights after an epoch of a run, which take the place of all training"""

    @property
    def model(self) -> Any:
        """The model that is trained, in place."""
        return self.learner.model

    def fit(self, train: TextObjective | None = None) -> Fitted:
        """Run the loop over whatever trains, or give it the weights that are kept of one that ran."""
        if self.kept is not None:
            return put_back(self.model, self.kept)
        return fit(
            self.model,
            train or self.train,
            self.plan,
            self.settings,
            **self._hooks(),
            where=self.where,
            on_note=self.on_note,
            processes=self.processes,
            parallel=self.recipe.parallel,
            on_checkpoint=self.on_checkpoint,
            on_best=self.on_best,
            epochs=self.epochs,
        )

    def fit_head(self) -> Fitted:
        """Fit the head alone."""
        return fit_head(
            self.model,
            _of_labels(self.train),
            # where the validation rows are to choose nothing, parts of the training rows choose the penalty
            _of_labels(self.held_out) if self.held_out and self.settings.keep == "best" else None,
            self.settings,
            **self._hooks(),
        )

    def _hooks(self) -> _Hooks:
        return {
            "evaluate": self.evaluate,
            "checkpoints": self.checkpoints,
            "resume": self.resume,
            "on_progress": self.on_progress,
            "should_stop": self.should_stop,
        }


def _of_labels(objective: TextObjective) -> LabelObjective:
    assert isinstance(objective, LabelObjective), "the method was refused for other tasks"
    return objective


def fine_tune(job: Job[LearnerT]) -> tuple[Fitted, LearnerT]:
    """Train with the recipe's method, which is resolved; the model that remains is a plain one.

    Raises Interrupted, with a checkpoint kept, and what `fit` raises.
    """
    # a part each: FSDP takes the model from the CPU block by block
    if job.processes.count == 1 or job.recipe.parallel != "fsdp":
        place(job.model)
    assert job.recipe.gradient_checkpointing != "auto", "the recipe is not resolved"
    if job.begin is not None and job.kept is None:
        job.begin(job.model, job.checkpoints, job.resume)
    with recomputing(job.model, job.recipe.gradient_checkpointing):
        return _by_method(job)


def _by_method(job: Job[LearnerT]) -> tuple[Fitted, LearnerT]:
    match job.recipe.method:
        case "full":
            return _all_weights(job), job.learner
        case "lora" | "qlora":
            return _with_adapters(job)
        case "head":
            return job.fit_head(), job.learner
        case "head-first":
            return _head_first(job), job.learner
        case "frozen":
            return _above_frozen(job), job.learner
        case "auto":
            raise AssertionError("the recipe is not resolved")


def place(model: Any) -> None:
    """Put the model where the loop will want it: on the GPU where there is one."""
    from accelerate import PartialState

    if not getattr(model, "is_quantized", False):
        model.to(PartialState().device)


def _all_weights(job: Job[Any]) -> Fitted:
    texts, pad_token_id = [job.train.encoded], job.learner.tokenizer.pad_token_id
    texts += [job.held_out.encoded] if job.held_out else []
    with compact_vocabulary(job.model, texts, pad_token_id) as others:
        fitted = job.fit()
        others.decay = weight_decay_left(fitted.best_step or fitted.step, job.plan.total_steps, job.settings)
    return fitted


def _with_adapters(job: Job[LearnerT]) -> tuple[Fitted, LearnerT]:
    adapters = add_adapters(job.model, job.recipe)
    fitted = job.fit()
    if job.recipe.method == "qlora":
        model = whole_model(job.model)
        use_fast_modules(model)
        return fitted, replace(job.learner, model=model)
    merge_adapters(adapters)
    return fitted, job.learner


def _head_first(job: Job[Any]) -> Fitted:
    # a checkpoint of the loop holds the head as well
    if job.kept is None and not (job.resume and job.checkpoints.newest() is not None):
        job.fit_head()
    return _all_weights(job)


def _above_frozen(job: Job[Any]) -> Fitted:
    assert job.recipe.frozen_layers is not None
    train = _of_labels(job.train)
    freeze(job.model, job.recipe.frozen_layers)
    if job.kept is not None:
        fitted = job.fit()
        job.model.requires_grad_(True)
        return fitted
    with frozen_states(
        job.model,
        train.encoded,
        job.recipe.frozen_layers,
        job.settings,
        most_bytes=job.recipe.activation_cache_mib << 20,
        spill=job.checkpoints.directory / _SPILL,
        on_progress=job.on_progress,
        should_stop=job.should_stop,
    ) as states:
        fitted = job.fit(train.with_logits(states.logits))
    job.model.requires_grad_(True)
    return fitted
