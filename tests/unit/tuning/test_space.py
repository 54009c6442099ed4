from __future__ import annotations

from typing import Any

import pytest

from tunesmith.recipe import DataFacts, Recipe, resolve
from tunesmith.tuning.space import Dimension, is_read, space_of

FACTS = DataFacts(1000, 50, 400, (500, 500), 128, 5_000_000, blocks=4)
AS_DECLARED = ["method", "lora_rank", "learning_rate", "warmup_fraction", "epochs", "batch_tokens"]
AS_DECLARED += ["weight_decay", "dropout", "class_weights"]


def _defaults(recipe: Recipe) -> dict[str, Any]:
    values = resolve(recipe, FACTS).model_dump(mode="json")
    return values | {"dropout": 0.1 if values["dropout"] is None else values["dropout"]}


def _space(recipe: Recipe, **more: Any) -> dict[str, Dimension]:
    return {each.name: each for each in space_of(recipe, _defaults(recipe), **more)}


def test_the_space_lies_around_what_the_recipe_becomes() -> None:
    recipe = Recipe()
    space, defaults = _space(recipe), _defaults(recipe)
    assert list(space) == AS_DECLARED
    assert all(each.holds(defaults[name]) for name, each in space.items())
    rate = defaults["learning_rate"]
    assert (space["learning_rate"].low, space["learning_rate"].high) == (rate / 10, rate * 10)
    assert space["learning_rate"].log
    epochs = defaults["epochs"]
    assert space["epochs"] == Dimension("epochs", round(epochs / 2), epochs * 2, True, True)
    assert space["dropout"] == Dimension("dropout", 0, 0.3)


def test_what_the_recipe_says_is_not_searched_unless_asked() -> None:
    recipe = Recipe(epochs=5, method="lora", search={"dropout": "off", "token_dropout": "0..0.4"})
    space = _space(recipe)
    assert set(space) == {*AS_DECLARED, "token_dropout"} - {"epochs", "method", "dropout"}
    assert _space(recipe.model_copy(update={"search": {"epochs": "2..3"}}))["epochs"].high == 3
    assert "lora_rank" not in _space(Recipe(method="full")), "nobody reads it"


def test_a_declared_range_is_stretched_and_one_that_is_asked_for_is_not() -> None:
    defaults = _defaults(Recipe()) | {"dropout": 0.5, "class_weights": "auto", "method": "qlora"}
    space = {each.name: each for each in space_of(Recipe(), defaults)}
    assert space["dropout"].high == 0.5
    assert space["method"].choices == ("full", "lora", "frozen", "head-first", "qlora")
    asked = Recipe(search={"dropout": "0..0.2"})
    assert not next(each for each in space_of(asked, defaults) if each.name == "dropout").holds(0.5)


def test_methods_that_cannot_be_used_and_weights_of_no_labels_are_left_out() -> None:
    space = _space(Recipe(), usable=lambda method: method in ("full", "frozen"), labelled=False)
    assert space["method"].choices == ("full", "frozen")
    assert not {"lora_rank", "class_weights"} & set(space)


@pytest.mark.parametrize(
    ("name", "method", "read"),
    [
        ("lora_rank", "lora", True),
        ("lora_rank", "full", False),
        ("learning_rate", "head", False),
        ("class_weights", "head", True),
        ("epochs", "frozen", True),
    ],
)
def test_a_key_is_drawn_where_the_method_reads_it(name: str, method: str, read: bool) -> None:
    assert is_read(name, method) is read


def test_a_dimension_round_trips() -> None:
    for each in (Dimension("epochs", 2, 8, True, True), Dimension("method", choices=("full", "lora"))):
        assert Dimension.of(each.to_dict()) == each
