"""The rivals made of the untuned base: exact with a shared prefix, balanced, and told where not run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import ARCHITECTURES, POLITICS, SPORTS, save_tiny_base
from tunesmith import labels
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.probe import features_of_texts, probe
from tunesmith.evaluation.prompting import CONTENT_FREE, asking, calibrated, examples, few_shot, zero_shot
from tunesmith.evaluation.rival import LeftOut, Rival
from tunesmith.evaluation.trial import Trial
from tunesmith.evaluation.types import NotRun
from tunesmith.model.generator import load_generator
from tunesmith.model.load import load_classifier
from tunesmith.model.packed import can_pack
from tunesmith.recipe import Recipe
from tunesmith.task import Task
from tunesmith.training.qlora import has_gpu

WINDOW = 256


def news(rows: int = 24, **task: Any) -> Dataset:
    texts = [f"{(SPORTS + POLITICS)[row % 6]} in round {row}" for row in range(rows)]
    targets = ["sports" if row % 6 < 3 else "politics" for row in range(rows)]
    if task.get("kind") == "multi_label":
        return dataset_of(Task(labels=("politics", "sports"), **task), texts, [(each,) for each in targets])
    return dataset_of(Task(labels=("politics", "sports")), texts, targets)


def trial_of(base: Path | str, train: Dataset | None = None, **more: Any) -> Trial:
    train = train or news()
    learner = load_generator(str(base))
    return Trial(learner, WINDOW, 512, train, train, 0, more.pop("budget", Budget()), **more)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("wide") / "gpt2", n_positions=WINDOW)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_prefix_that_is_read_once_changes_no_answer(architecture: str, tmp_path: Path) -> None:
    window = {"n_positions" if architecture == "gpt2" else "max_position_embeddings": WINDOW}
    trial = trial_of(save_tiny_base(tmp_path / architecture, architecture, **window))
    prompt = asking(trial, examples(trial))
    past = prompt.read()
    assert past is not None
    assert len(prompt.prefix) >= 100
    texts = [*trial.test.texts[:7], "", "fans " * 300]
    shared, alone = (prompt.log_likelihoods(texts, each) for each in (past, None))
    assert shared == pytest.approx(alone, abs=1e-5)
    assert len(np.unique(shared.round(6))) > len(texts)


def test_an_architecture_that_is_not_known_reads_the_prefix_with_every_text(tmp_path: Path) -> None:
    trial = trial_of(save_tiny_base(tmp_path / "gptj", "gptj", n_positions=WINDOW))
    assert not can_pack(trial.learner.model)
    assert asking(trial).read() is None
    assert zero_shot(trial).probabilities.shape == (24, 2)


def test_examples_are_as_many_of_each_label_and_the_seed_draws_them(base: Path) -> None:
    trial = trial_of(base)
    shots = examples(trial)
    tokenizer = trial.learner.tokenizer
    told = [tokenizer.decode(shot) for shot in shots]
    by_label = [sum(f"Label: {label}\n\n" in shot for shot in told) for label in ("politics", "sports")]
    assert by_label[0] == by_label[1] >= 1
    assert sum(map(len, shots)) <= WINDOW / 2
    assert [shot.tolist() for shot in examples(trial)] == [shot.tolist() for shot in shots]
    found = few_shot(trial)
    assert f"after {len(shots)} examples" in found.how
    assert found.size_bytes == trial.learner.size_bytes > 4 * trial.learner.parameters


def test_a_text_that_says_nothing_gets_no_label_after_calibration(base: Path) -> None:
    prompt = asking(trial_of(base))
    leaning = prompt.log_likelihoods(CONTENT_FREE[:1], prompt.read())
    assert calibrated(leaning, leaning) == pytest.approx(np.full((1, 2), 0.5))
    # the mean of what texts that say nothing get is divided out, not each of them
    some = np.log([[0.6, 0.4], [0.2, 0.8]])
    assert calibrated(some[:1], some) == pytest.approx(
        np.array([[0.6 / 0.4, 0.4 / 0.6]]) / (0.6 / 0.4 + 0.4 / 0.6)
    )


def test_label_names_that_are_too_many_for_the_window_are_told(tiny_base: Path) -> None:
    many = tuple(f"the label number {number}" for number in range(30))
    train = dataset_of(Task(labels=many), [f"text {name}" for name in many], list(many))
    with pytest.raises(LeftOut, match="an example of each of 30 labels would not fit into half of the 64"):
        few_shot(trial_of(tiny_base, train))
    assert zero_shot(trial_of(tiny_base, train)).probabilities.shape == (30, 30)


def test_the_probe_reads_last_tokens_and_takes_what_rows_it_can(base: Path) -> None:
    trial = trial_of(base)
    found = probe(trial)
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(24))
    assert "C = " in found.how
    states = trial.learner.model.transformer(
        **trial.learner.tokenizer(trial.test.texts[3], return_tensors="pt")
    )
    expected = states.last_hidden_state[0, -1].detach().numpy()
    assert features_of_texts(trial, trial.test.texts)[3] == pytest.approx(expected, abs=1e-5)

    ticks = iter(range(10_000))
    slow = replace(trial, train=news(600), budget=Budget(40.0, lambda: float(next(ticks))))
    assert "of the 600 training rows" in probe(slow).how


def test_texts_of_several_labels_are_probed_and_not_asked_about(base: Path) -> None:
    train = news(kind="multi_label")
    found = labels.rivals(Recipe(base=str(base), max_tokens=WINDOW), train, train, lambda *_: None)
    ran = [each.name for each in found if isinstance(each, Rival)]
    assert ran == ["majority", "TF-IDF + LR", "n-grams", "probe"]
    assert all(each.given is not None for each in found if isinstance(each, Rival))
    assert [each.name for each in found if isinstance(each, NotRun)] == ["zero-shot", "few-shot"]


def test_a_base_that_does_not_write_is_probed_alone(base: Path, tmp_path: Path) -> None:
    classifier = load_classifier(str(base), ("politics", "sports"))
    classifier.model.save_pretrained(tmp_path)
    classifier.tokenizer.save_pretrained(tmp_path)
    found = labels.rivals(Recipe(base=str(tmp_path), max_tokens=WINDOW), news(), news(), lambda *_: None)
    assert [type(each) for each in found[3:]] == [Rival, NotRun, NotRun]
    assert isinstance(found[4], NotRun)
    assert "no head that writes" in found[4].why


def test_a_base_that_is_gone_or_too_large_is_told(base: Path, tmp_path: Path) -> None:
    found = labels.rivals(Recipe(base=str(tmp_path), max_tokens=WINDOW), news(), news(), lambda *_: None)
    reasons = {each.why for each in found if isinstance(each, NotRun)}
    assert reasons == {"the base cannot be loaded: the directory holds no config.json"}
    with pytest.raises(LeftOut, match="a second copy of the base needs 0 MiB, and 0 MiB are free"):
        labels._refuse_without_memory(Recipe(base=str(base)), lambda: 1)


def test_a_base_in_4_bits_is_told_where_the_machine_cannot_hold_it(base: Path) -> None:
    if has_gpu():
        pytest.skip("this machine may hold it")
    recipe = Recipe(base=str(base), method="qlora", max_tokens=WINDOW)
    found = labels.rivals(recipe, news(), news(), lambda *_: None)
    assert [type(each) for each in found] == [Rival] * 3 + [NotRun] * 3
    assert isinstance(found[3], NotRun)
    assert "the base cannot be loaded" in found[3].why
