"""A base and rows to learn from -> a trained model: once for a run, several times for a learning curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunesmith.data.dataset import Splits
from tunesmith.inputs import loop_settings
from tunesmith.lesson import Lesson
from tunesmith.listener import Listener
from tunesmith.model.learner import Learner
from tunesmith.model.packed import can_pack
from tunesmith.processes import ALONE, Processes
from tunesmith.recipe import Recipe
from tunesmith.room import room_of
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoint, Checkpoints, KeptEpochs
from tunesmith.training.methods import Job, fine_tune
from tunesmith.training.state import Fitted

__all__ = ["fit_learner", "test_followed"]

# these look at held-out rows to choose, and have no epochs of which figures could be told
_CHOOSING_METHODS = ("head", "head-first")


def fit_learner(
    learner: Any,
    recipe: Recipe,
    splits: Splits,
    checkpoints: Checkpoints,
    *,
    resume: bool,
    listener: Listener,
    should_stop: Callable[[], bool],
    processes: Processes = ALONE,
    teach: Callable[..., Lesson] | None = None,
    epochs: KeptEpochs | None = None,
    kept: Checkpoint | None = None,
) -> tuple[Fitted, Learner]:
    """Fine-tune by a resolved recipe; raise Interrupted once `should_stop` answers True.

    `teach` gives the lesson in place of the room of the task. Weights after an epoch are kept in `epochs`;
    those that were `kept` take the place of all training.
    """
    assert recipe.epochs is not None
    assert recipe.batch_tokens is not None
    teach = teach or room_of(splits.train.task).lesson
    lesson = teach(learner, recipe, splits, processes)
    return fine_tune(
        Job(
            learner,
            recipe,
            lesson.train,
            lesson.held_out,
            Plan(lesson.train.lengths, recipe.epochs, recipe.batch_tokens, recipe.seed),
            loop_settings(recipe, packed=can_pack(learner.model)),
            evaluate=lesson.evaluate,
            checkpoints=checkpoints,
            resume=resume,
            on_progress=listener.training,
            should_stop=should_stop,
            where=splits.train.where,
            on_note=listener.note,
            processes=processes,
            begin=lesson.begin,
            on_checkpoint=listener.checkpoint_saved,
            on_best=listener.best_saved,
            epochs=epochs,
            kept=kept,
        )
    )


def test_followed(learner: Any, recipe: Recipe, splits: Splits, processes: Processes) -> Lesson:
    """The lesson of the room, with figures on the test rows as it goes on, by which nothing is chosen.

    Where there are validation rows, or no test rows, it is the lesson as it always is.
    """
    teach = room_of(splits.train.task).lesson
    if len(splits.validation) or not len(splits.test) or recipe.method in _CHOOSING_METHODS:
        return teach(learner, recipe, splits, processes)
    lesson = teach(learner, recipe, replace(splits, validation=splits.test), processes)
    evaluate = lesson.evaluate
    assert evaluate is not None, "there are rows to judge on"

    def figures(model: Any) -> Mapping[str, float]:
        return {name: value for name, value in evaluate(model).items() if name != "score"}

    return replace(lesson, evaluate=figures)
