"""The step before fine-tuning in which the base reads: the training texts, or files without labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunesmith.data.dataset import Splits
from tunesmith.data.texts import Keys, same_text_keys
from tunesmith.inputs import Inputs
from tunesmith.listener import Listener
from tunesmith.pretraining.adapt import AdaptSettings, adapt
from tunesmith.pretraining.corpus import Part
from tunesmith.pretraining.teaching import precision_of
from tunesmith.room import room_of

__all__ = ["adapted"]

_TRAINING_TEXTS = "train"


def adapted(
    inputs: Inputs,
    place: Path,
    *,
    resume: bool,
    listener: Listener,
    should_stop: Callable[[], bool],
) -> Inputs:
    """The inputs with a base that has read what the recipe says, which is kept at `place`.

    Where `resume` finds that it was read before, it is not read again. No text of a validation or test row is
    read. Raises as `adapt` does.
    """
    recipe = inputs.recipe
    if recipe.adapt is None:
        shutil.rmtree(place, ignore_errors=True)
        return inputs
    if not (resume and (place / "pretrain.json").is_file()):
        _read(inputs, place, resume=resume, listener=listener, should_stop=should_stop)
    own = recipe.model_copy(update={"base": str(place), "revision": None})
    return replace(inputs, classifier=room_of(inputs.splits.train.task).load_base(own, inputs.splits.train))


def _read(
    inputs: Inputs, place: Path, *, resume: bool, listener: Listener, should_stop: Callable[[], bool]
) -> None:
    recipe, asked = inputs.recipe, inputs.recipe.adapt
    assert asked is not None
    settings = AdaptSettings(
        precision_of(recipe.precision),
        asked.epochs,
        asked.general_share if asked.general else 0.0,
        learning_rate=asked.learning_rate,
        seed=recipe.seed,
        revision=recipe.revision,
    )
    begun = place.with_name(f"{place.name}.checkpoints") / "run.json"
    adapt(
        recipe.base,
        _parts(asked.text, inputs.splits),
        place,
        settings,
        general=_parts(asked.general, inputs.splits),
        overwrite=True,
        resume=resume and begun.is_file(),
        listener=listener,
        should_stop=should_stop,
    )


def _parts(texts: tuple[str, ...], splits: Splits) -> list[Part]:
    held_out = _held_out(splits)
    return [
        Part(Path("training texts"), rows=splits.train)
        if text == _TRAINING_TEXTS
        else Part(Path(text), without=held_out)
        for text in texts
    ]


def _held_out(splits: Splits) -> Keys:
    keys = [same_text_keys(part.table.column("text")) for part in (splits.validation, splits.test)]
    return np.concatenate(keys)
