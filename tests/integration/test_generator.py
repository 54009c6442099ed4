from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.loops import SETTINGS
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.data.render import render
from tunesmith.errors import BaseError, ConfigError
from tunesmith.model.base import quiet_transformers
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.generator import Generator, load_generator
from tunesmith.model.layers import block_count, linear_layers
from tunesmith.model.load import load_classifier
from tunesmith.model.targets import EncodedTargets, encode_segments
from tunesmith.recipe import DataFacts, Recipe, resolve
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.completion import Completion, token_figures
from tunesmith.training.lora import add_adapters, merge_adapters
from tunesmith.training.methods import Job, fine_tune, refuse_unfit
from tunesmith.training.qlora import whole_model
from tunesmith.writer import Writer

ROWS = [(text, "goal") for text in SPORTS] + [(text, "vote") for text in POLITICS]


def _targets(generator: Generator, times: int = 1) -> EncodedTargets:
    rows = [
        render(
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
            generator.template,
        )
        for prompt, answer in ROWS * times
    ]
    return encode_segments(generator.tokenizer, rows, generator.window)


def _recipe(generator: Generator, method: Any) -> Recipe:
    facts = DataFacts(
        examples=len(ROWS),
        mean_tokens=20,
        longest_tokens=40,
        label_counts=(),
        window=generator.window,
        parameters=generator.parameters,
        blocks=block_count(generator.model),
        linear_layers=linear_layers(generator.model),
    )
    return resolve(Recipe(method=method), facts)


def _job(generator: Generator, recipe: Recipe, place: Path, times: int) -> Job[Generator]:
    objective, held_out = (
        Completion(_targets(generator, count), generator.tokenizer.pad_token_id) for count in (times, 1)
    )

    def evaluate(_model: Any) -> Mapping[str, float]:
        figures = token_figures(generator, held_out.targets, 200)
        return {"score": -figures["log_loss"], **figures}

    plan = Plan(objective.lengths, 2, 80, 0)
    return Job(
        generator, recipe, objective, held_out, plan, SETTINGS, evaluate, Checkpoints(place / "checkpoints")
    )


@pytest.mark.parametrize(
    ("architecture", "method"), [("gpt2", "lora"), ("llama", "full"), ("llama", "lora"), ("gptj", "full")]
)
def test_what_is_learned_is_found_in_a_plain_model(tmp_path: Path, architecture: str, method: str) -> None:
    generator = load_generator(str(save_tiny_base(tmp_path / "base", architecture)), dropout=0.0)
    names = {name for name, _ in generator.model.named_parameters()}
    before = token_figures(generator, _targets(generator), 200)
    fitted, trained = fine_tune(_job(generator, _recipe(generator, method), tmp_path, times=6))
    after = token_figures(trained, _targets(trained), 200)
    assert fitted.history[-1]["log_loss"] == pytest.approx(after["log_loss"], rel=1e-4)
    assert after["log_loss"] < 0.97 * before["log_loss"]
    assert {name for name, _ in trained.model.named_parameters()} == names


def test_it_writes_what_it_learned(tmp_path: Path) -> None:
    generator = load_generator(str(save_tiny_base(tmp_path / "base")), dropout=0.0)
    _, trained = fine_tune(_job(generator, _recipe(generator, "full"), tmp_path, times=40))
    writer, prompts = Writer(trained, 64), [prompt for prompt, _ in ROWS]
    assert [(answer.text, answer.finish_reason) for answer in writer.write(prompts)] == [
        (answer, "stop") for _, answer in ROWS
    ]
    labels = ("goal", "vote", "goals")
    assert [labels[best] for best in writer.choose(prompts, labels).argmax(1)] == [a for _, a in ROWS]


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox", "llama", "qwen2"])
def test_merged_adapters_answer_as_they_did(tmp_path: Path, architecture: str) -> None:
    generator = load_generator(str(save_tiny_base(tmp_path / "base", architecture)), dropout=0.0)
    targets, model = _targets(generator), generator.model
    before = token_figures(generator, targets, 200)["log_loss"]
    adapters = add_adapters(model, _recipe(generator, "lora"))
    assert all("lora_" in name for name, value in model.named_parameters() if value.requires_grad)
    torch.manual_seed(0)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    adapted = token_figures(generator, targets, 200)["log_loss"]
    assert abs(adapted - before) > 1e-4
    copied = whole_model(model)
    merge_adapters(adapters)
    assert copied.generation_config.eos_token_id == model.generation_config.eos_token_id
    for plain in (model, copied):
        found = Generator(generator.tokenizer, generator.window, plain)
        assert token_figures(found, targets, 200)["log_loss"] == pytest.approx(adapted, abs=1e-4)


@pytest.mark.parametrize("method", ["head", "head-first", "frozen"])
def test_methods_that_fit_a_head_to_labels_are_refused(tiny_base: Path, method: Any) -> None:
    generator = load_generator(str(tiny_base))
    with pytest.raises(ConfigError, match="method-unfit") as caught:
        refuse_unfit(_recipe(generator, method), generator.model)
    assert "writes text" in caught.value.problems[0].what
    assert "lora" in caught.value.problems[0].fix
    refuse_unfit(_recipe(generator, "full"), generator.model)


def test_a_generator_is_ready(tiny_base: Path) -> None:
    generator = load_generator(str(tiny_base), dropout=0.3)
    assert generator.window == 64
    assert generator.model.config.resid_pdrop == 0.3
    assert generator.tokenizer.padding_side == "right"
    assert generator.tokenizer.chat_template == generator.template.source
    assert generator.end_ids == (0,)
    assert generator.parameters == sum(value.numel() for value in generator.model.parameters())
    found = fingerprint(generator)
    assert found == fingerprint(load_generator(str(tiny_base), seed=1))
    with torch.no_grad():
        generator.model.transformer.ln_f.bias[0] += 1
    assert fingerprint(generator) != found


def _classifier_base(place: Path, architecture: str) -> Path:
    classifier = load_classifier(str(save_tiny_base(place / "causal", architecture)), ("a", "b"))
    with quiet_transformers():
        classifier.model.save_pretrained(place / "base")
        classifier.tokenizer.save_pretrained(place / "base")
    return place / "base"


def _other_base(place: Path, model_type: str, auto: str, **shape: Any) -> Path:
    import transformers

    save_tiny_base(place / "base")
    (place / "base/model.safetensors").unlink()
    config = transformers.AutoConfig.for_model(model_type, vocab_size=384, **shape)
    with quiet_transformers():
        getattr(transformers, auto).from_config(config).save_pretrained(place / "base")
    return place / "base"


_BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
_T5 = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda place: _classifier_base(place, "gpt2"), "classifier"),
        (lambda place: _classifier_base(place, "llama"), "classifier"),
        (lambda place: _other_base(place, "bert", "AutoModelForMaskedLM", **_BERT), "see those that follow"),
        (lambda place: _other_base(place, "bert", "AutoModel", **_BERT), "has none|have none"),
        (lambda place: _other_base(place, "t5", "AutoModelForSeq2SeqLM", **_T5), "knows none for t5"),
        (lambda place: _without_head(place), "have none"),
    ],
)
def test_a_base_that_cannot_write_is_refused_with_one_error(make: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="no-language-head") as caught:
        load_generator(str(make(tmp_path)))
    (problem,) = caught.value.problems
    assert len([why for why in reason.split("|") if why in problem.what]) == 1, problem.what


def _without_head(place: Path) -> Path:
    from safetensors.torch import load_file, save_file

    path = save_tiny_base(place / "base", "llama") / "model.safetensors"
    weights = {name: value for name, value in load_file(path).items() if name != "lm_head.weight"}
    save_file(weights, path, {"format": "pt"})
    return path.parent


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    with pytest.raises(BaseError, match="weights-do-not-fit"):
        load_generator(str(base))


def test_a_template_that_fails_is_told_when_the_base_is_loaded(tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": "{{ 1 / 0 }}"}))
    with pytest.raises(BaseError, match="bad-template"):
        load_generator(str(base))


def test_only_the_embeddings_that_occur_are_trained_where_the_head_has_its_own(tmp_path: Path) -> None:
    from tunesmith.training.vocabulary import compact_vocabulary

    sizes = {}
    for tied in (True, False):
        base = save_tiny_base(tmp_path / str(tied), "llama", tie_word_embeddings=tied)
        generator = load_generator(str(base))
        targets = _targets(generator)
        whole = token_figures(generator, targets, 200)
        with compact_vocabulary(generator.model, [targets.encoded], 0):
            sizes[tied] = generator.model.get_input_embeddings().num_embeddings
            assert np.allclose(list(token_figures(generator, targets, 200).values()), list(whole.values()))
    assert sizes[True] == generator.model.config.vocab_size > sizes[False]
