from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tunesmith.config import Config, as_commented_yaml, as_yaml, parse_values, read_config, write_config
from tunesmith.errors import ConfigError
from tunesmith.recipe import DataFacts, Recipe, are_few, choose_method, for_examples, reasons_for, resolve
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


def test_examples_a_step_and_the_factor_of_the_rate_speak_where_nothing_else_does() -> None:
    usual, asked = resolve(Recipe(), FACTS), resolve(Recipe(batch_examples=4, learning_rate_factor=2), FACTS)
    assert asked.batch_tokens == 4 * 50
    assert asked.learning_rate == 2 * (usual.learning_rate or 0)
    assert resolve(asked, FACTS) == asked
    given = resolve(Recipe(batch_tokens=7, learning_rate=0.1, learning_rate_factor=2), FACTS)
    assert (given.batch_tokens, given.learning_rate) == (7, 0.1)
    assert (resolve(Recipe(learning_rate_factor=1000), FACTS).learning_rate or 0) < 1


def test_what_was_chosen_is_kept_but_never_beyond_the_window() -> None:
    recipe = Recipe(epochs=2, learning_rate=0.5, batch_tokens=7, class_weights="none", max_tokens=9_999)
    resolved = resolve(recipe, FACTS)
    assert (resolved.epochs, resolved.learning_rate, resolved.batch_tokens) == (2, 0.5, 7)
    assert (resolved.class_weights, resolved.max_tokens) == ("none", 128)


def test_few_examples_have_a_recipe_of_their_own() -> None:
    few = DataFacts(48, 20.0, 50, (16, 16, 16), 64, 1000, few_examples=True)
    many = replace(few, few_examples=False)
    assert are_few(299, 3)
    assert not are_few(300, 3)
    assert (resolve(Recipe(), few).target_replication, resolve(Recipe(), many).target_replication) == (1, 0)
    assert (resolve(Recipe(), few).token_dropout, resolve(Recipe(), many).token_dropout) == (0.3, 0)
    assert resolve(Recipe(), few).validation_fraction == 0
    assert resolve(Recipe(), many).validation_fraction == 0.1
    # 100 steps of three an epoch
    assert (resolve(Recipe(), few).epochs, resolve(Recipe(), many).epochs) == (33, 12)
    assert (resolve(Recipe(), few).learning_rate, resolve(Recipe(), many).learning_rate) == (3e-4, 1e-3)
    large = replace(few, parameters=100_000_000)
    assert resolve(Recipe(), large).learning_rate == 5e-5
    asked = Recipe(target_replication=0.5, token_dropout=0, validation_fraction=0.2, epochs=7, dropout=0.4)
    assert for_examples(asked, few=True) == asked
    assert resolve(asked, few).epochs == 7
    assert reasons_for(Recipe(), few)["token_dropout"] == "there are only 16 examples a label"
    assert "epochs" not in reasons_for(asked, few)
    assert "token_dropout" not in reasons_for(Recipe(), many)


def test_auto_is_full_where_it_fits_and_adapters_beyond() -> None:
    needed = 16 * FACTS.parameters
    assert choose_method(FACTS)[0] == "full"
    assert choose_method(replace(FACTS, free_bytes=2 * needed))[0] == "full"
    method, reason = choose_method(replace(FACTS, free_bytes=2 * needed - 1))
    assert method == "lora"
    assert "0.1 GiB" in reason


def test_how_processes_hold_the_model_is_chosen_where_there_are_several() -> None:
    assert resolve(Recipe(), FACTS).parallel is None
    several = replace(FACTS, processes=2)
    assert resolve(Recipe(), several).parallel == "ddp"
    assert resolve(Recipe(parallel="fsdp"), several).parallel == "fsdp"
    assert choose_method(several)[0] == "full"


def test_what_only_a_method_reads_is_resolved_for_it_alone() -> None:
    facts = replace(FACTS, blocks=6, linear_layers=("h.0.mlp.c_fc", "h.0.attn.c_attn", "h.1.attn.c_attn"))
    full, lora, frozen = (resolve(Recipe(method=name), facts) for name in ("full", "lora", "frozen"))
    assert (full.lora_targets, full.lora_alpha, full.frozen_layers) == (None, None, None)
    assert (lora.lora_targets, lora.lora_alpha) == (("c_attn", "c_fc"), 32)
    assert frozen.frozen_layers == 3
    assert full.learning_rate is not None
    assert lora.learning_rate is not None
    assert lora.learning_rate > full.learning_rate
    for resolved in (full, lora, frozen):
        assert resolve(resolved, facts) == resolved
    assert resolve(Recipe(method="frozen", frozen_layers=0), facts).frozen_layers == 0
    asked = Recipe(method="lora", lora_alpha=7, lora_targets=("c_fc",))
    assert resolve(asked, facts).lora_targets == ("c_fc",)


def test_precision_is_what_the_machine_multiplies_itself() -> None:
    facts = DataFacts(100, 20.0, 50, (50, 50), 64, 1000)
    fast = replace(facts, bf16_in_hardware=True)
    assert resolve(Recipe(), facts).precision == "fp32"
    assert resolve(Recipe(), fast).precision == "bf16"
    assert resolve(Recipe(precision="fp32"), fast).precision == "fp32"
    assert "does not multiply" in reasons_for(Recipe(), facts)["precision"]
    turing = replace(facts, fp16_in_hardware=True)
    assert resolve(Recipe(), turing).precision == "fp16"
    assert resolve(Recipe(), replace(turing, bf16_in_hardware=True)).precision == "bf16"
    assert "fp16 in hardware, and bf16 not" in reasons_for(Recipe(), turing)["precision"]
    assert reasons_for(Recipe(precision="fp32", method="full", gradient_checkpointing=False), fast) == {}


def test_activations_are_computed_twice_where_they_do_not_fit() -> None:
    # 16 texts of 100 tokens take 1.6 GB, weights and moments 1.6 GB as well
    facts = DataFacts(
        100, 100.0, 300, (50, 50), 512, 10**8, activation_bytes_per_token=10**6, free_bytes=4 * 10**9
    )
    small = replace(facts, free_bytes=3 * 10**9)
    assert resolve(Recipe(), facts).gradient_checkpointing is False
    assert "which fits" in reasons_for(Recipe(), facts)["gradient_checkpointing"]
    full = Recipe(method="full")
    assert resolve(full, small).gradient_checkpointing is True
    assert "over the 2.8 GiB that are free" in reasons_for(full, small)["gradient_checkpointing"]
    assert resolve(Recipe(method="full", micro_batch_tokens=400), small).gradient_checkpointing is False
    assert resolve(Recipe(method="head"), small).gradient_checkpointing is False
    assert resolve(Recipe(method="lora"), small).gradient_checkpointing is False
    assert resolve(Recipe(gradient_checkpointing=True), facts).gradient_checkpointing is True
    assert "gradient_checkpointing" not in reasons_for(Recipe(gradient_checkpointing=False), small)
    unable = replace(small, activation_bytes_per_token=0, free_bytes=1)
    assert resolve(full, unable).gradient_checkpointing is False
