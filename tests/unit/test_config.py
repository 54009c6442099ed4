from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tunesmith.config import Config, as_commented_yaml, as_yaml, parse_values, read_config, write_config
from tunesmith.errors import ConfigError
from tunesmith.recipe import DataFacts, Recipe, resolve
from tunesmith.task import Task

FACTS = DataFacts(
    examples=1000,
    mean_tokens=50,
    longest_tokens=400,
    label_counts=(900, 100),
    window=128,
    parameters=5_000_000,
)


@pytest.mark.parametrize("kind", [Task, Recipe])
def test_every_field_says_what_it_means(kind: type[Config]) -> None:
    described = {name: field.description for name, field in kind.model_fields.items()}
    assert all(described.values()), described
    assert all("description" in field for field in kind.model_json_schema()["properties"].values())


def test_all_faults_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("learnig_rate: 0.1\nepochs: many\nseed: -1\n")
    with pytest.raises(ConfigError) as caught:
        read_config(path, Recipe)
    by_line = {problem.where.rsplit(":", 1)[1]: problem for problem in caught.value.problems}
    assert by_line["1"].code == "unknown-key"
    assert "`learning_rate`" in by_line["1"].fix
    assert "many" in by_line["2"].what
    assert "seed" in by_line["3"].what


def test_a_config_round_trips(tmp_path: Path) -> None:
    recipe = Recipe(base="x", epochs=3, learning_rate=1e-4)
    write_config(tmp_path / "recipe.yaml", recipe)
    assert read_config(tmp_path / "recipe.yaml", Recipe) == recipe
    assert yaml.safe_load(as_commented_yaml(recipe)) == yaml.safe_load(as_yaml(recipe))


def test_values_from_elsewhere_name_where_they_came_from() -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_values({"epoch": 3}, Recipe, where="--set")


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [(["a", "a"], "twice"), (["a", " "], "empty"), (["a"], "at least two"), ("ab", "tuple")],
)
def test_labels_that_make_no_task(labels: object, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_values({"labels": labels}, Task, where="here")


def test_labels_are_text_whatever_yaml_made_of_them() -> None:
    task = parse_values({"labels": [1, 2]}, Task, where="here")
    assert task.label_ids == {"1": 0, "2": 1}


def test_defaults_are_resolved_once() -> None:
    resolved = resolve(Recipe(), FACTS)
    assert None not in (
        resolved.epochs,
        resolved.learning_rate,
        resolved.batch_tokens,
        resolved.class_weights,
    )
    assert resolved.max_tokens == 128
    assert resolved.class_weights == "auto"
    assert resolve(resolved, FACTS) == resolved


def test_what_was_chosen_is_kept_but_never_beyond_the_window() -> None:
    recipe = Recipe(epochs=2, learning_rate=0.5, batch_tokens=7, class_weights="none", max_tokens=9_999)
    resolved = resolve(recipe, FACTS)
    assert (resolved.epochs, resolved.learning_rate, resolved.batch_tokens) == (2, 0.5, 7)
    assert (resolved.class_weights, resolved.max_tokens) == ("none", 128)
