from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.cli.options import with_searches
from tunesmith.config import read_config, write_config
from tunesmith.errors import ConfigError
from tunesmith.ranges import Around, Choices, Range, Search, declared, searched
from tunesmith.recipe import Recipe

NAMED = {
    *("learning_rate", "batch_tokens", "epochs", "weight_decay", "warmup_fraction", "dropout", "method"),
    *("lora_rank", "class_weights"),
}


def test_the_fields_of_a_recipe_declare_where_they_are_searched() -> None:
    assert {name for name, search in declared(Recipe).items() if search.unasked} == NAMED


@pytest.mark.parametrize("name", declared(Recipe))
def test_a_recipe_may_have_what_its_fields_declare(name: str) -> None:
    search = declared(Recipe)[name]
    match search:
        case Range(low, high):
            values: list[object] = [low, high]
        case Choices(choices):
            values = list(choices)
        case Around(factor):
            values = [] if factor > 1 else ["no range"]
    for value in values:
        Recipe.model_validate({name: value})


@pytest.mark.parametrize(
    ("name", "said", "search"),
    [
        ("learning_rate", "1e-5..1e-3", Range(1e-5, 1e-3, log=True)),
        ("dropout", " 0 .. 0.5 ", Range(0, 0.5)),
        ("epochs", "3,5, 8", Choices((3, 5, 8))),
        ("epochs", "5", Choices((5,))),
        ("method", "full,lora", Choices(("full", "lora"))),
        ("class_weights", "off", None),
        ("token_dropout", "default", Range(0, 0.5)),
    ],
)
def test_what_is_written_is_searched(name: str, said: str, search: Search | None) -> None:
    assert searched(Recipe, name, said) == search


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("learning_rate", "1e-3..1e-5", "its low end comes first"),
        ("learning_rate", "1e-3..1e-3", "is empty"),
        ("learning_rate", "1..2", "less than 1"),
        ("learning_rate", "many..more", "valid number"),
        ("weight_decay", "0..0.1", "must begin above 0"),
        ("epochs", "0..3", "greater than or equal to 1"),
        ("epochs", "1.5..3", "valid integer"),
        ("method", "full..lora", "takes choices such as `full,lora,frozen,head-first`"),
        ("method", "fully", "Input should be 'auto'"),
        ("seed", "0..9", "`seed` is not searched"),
        ("lerning_rate", "1..2", "`lerning_rate` is not searched"),
    ],
)
def test_a_bad_range_is_one_problem(name: str, said: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_searches(Recipe(), [f"{name}={said}"])
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("bad-value", "--search")
    assert told in problem.what


def test_a_recipe_file_says_them_too_and_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    lines = ("learning_rate: 1e-5..1e-3", "epochs: [3, 5]", "method: full", "token_dropout:", "dropout: off")
    path.write_text("search:\n" + "".join(f"  {line}\n" for line in lines))
    recipe = read_config(path, Recipe)
    assert recipe.search == {
        "learning_rate": "1e-5..1e-3",
        "epochs": "3,5",
        "method": "full",
        "token_dropout": "default",
        "dropout": "off",
    }
    write_config(path, recipe)
    assert read_config(path, Recipe) == recipe
    assert with_searches(recipe, ["epochs=2..4", "schedule"]).search == recipe.search | {
        "epochs": "2..4",
        "schedule": "default",
    }


def test_a_bad_range_in_a_file_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("epochs: 3\nsearch:\n  epochs: 5..2\n  seed: 1..2\n")
    with pytest.raises(ConfigError) as caught:
        read_config(path, Recipe)
    (problem,) = caught.value.problems
    assert problem.where == f"{path}:2"
    assert "5..2 is empty" in problem.what
    assert "`seed` is not searched" in problem.what
