"""Integrated gradients add up, of every architecture, and say what moved the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.models import ARCHITECTURES, POLITICS, SPORTS, save_tiny_base
from tunesmith.model.attributions import attribute
from tunesmith.model.forward import batch_logits
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.predict import Predictor

LABELS = ("a", "b", "c")
IDS = np.arange(5, 45, 3).astype(np.int32)


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "gptj"])
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    base = save_tiny_base(tmp_path_factory.mktemp("base") / request.param, request.param)
    classifier = load_classifier(str(base), LABELS, dropout=0.0)
    torch.manual_seed(0)
    with torch.no_grad():
        # the weights of an untrained model are so small that it hardly tells tokens apart
        for values in classifier.model.parameters():
            if values.ndim > 1:
                values.mul_(5.0)
    return classifier


def _attribute(classifier: Classifier, ids: Any = IDS, label: int = 1, **how: Any) -> Any:
    pad = classifier.tokenizer.pad_token_id
    return attribute(classifier.model, ids, label, pad, **{"micro_batch_tokens": 8192} | how)


def test_the_scores_sum_to_what_the_text_changed(classifier: Classifier) -> None:
    for label in range(3):
        found = _attribute(classifier, label=label, points=(64,))
        difference = found.log_odds - found.baseline
        assert found.scores.shape == IDS.shape
        assert abs(difference) > 0.02
        assert found.scores.sum() == pytest.approx(difference, abs=1e-3)
        assert found.complete
        assert _attribute(classifier, label=label).complete


def test_pieces_that_wait_for_their_turn_give_the_same(classifier: Classifier) -> None:
    sizes: list[int] = []

    def in_turn(work: Any) -> Any:
        sizes.append(1)
        return work()

    whole = _attribute(classifier, points=(16,))
    found = _attribute(classifier, points=(16,), micro_batch_tokens=4 * len(IDS), in_turn=in_turn)
    assert len(sizes) == 1 + 16 / 4
    np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-4, atol=1e-6)


def test_more_points_come_closer(classifier: Classifier) -> None:
    gaps = [abs(_attribute(classifier, points=(count,)).gap) for count in (2, 64)]
    assert gaps[1] < 1e-3
    assert gaps[1] <= gaps[0]


def test_the_log_odds_are_the_models_own(classifier: Classifier) -> None:
    with torch.no_grad():
        logits = batch_logits(classifier.model, [IDS], classifier.tokenizer.pad_token_id)[0].double()
    chances = torch.softmax(logits, dim=0)
    for label in range(3):
        expected = float(torch.log(chances[label] / (1 - chances[label])))
        assert _attribute(classifier, label=label).log_odds == pytest.approx(expected, abs=1e-3)
        several = _attribute(classifier, label=label, several=True)
        assert several.log_odds == pytest.approx(float(logits[label]), abs=1e-3)
        assert several.complete


def test_memory_decides_nothing(classifier: Classifier) -> None:
    whole, by_one = (_attribute(classifier, micro_batch_tokens=tokens, points=(16,)) for tokens in (8192, 1))
    assert np.allclose(whole.scores, by_one.scores, atol=1e-4)


def test_of_a_linear_model_each_token_gets_its_own_part() -> None:
    class Body(torch.nn.Module):
        def forward(self, inputs_embeds: torch.Tensor) -> Any:
            # the last state sums up all tokens, each by its place
            places = torch.arange(1.0, inputs_embeds.shape[1] + 1)[:, None]
            states = torch.cumsum(inputs_embeds * places, dim=1)
            return type("Output", (), {"last_hidden_state": states})

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(5, 1)
            self.embedding.weight.data = torch.tensor([[0.0], [1.0], [2.0], [3.0], [-6.0]])
            self.score = torch.nn.Linear(1, 2, bias=False)
            self.score.weight.data = torch.tensor([[0.5], [0.0]])
            self.base_model = Body()

        def get_input_embeddings(self) -> torch.nn.Embedding:
            return self.embedding

    ids = np.array([1, 4, 2], np.int32)
    found = attribute(Linear(), ids, 0, 0, micro_batch_tokens=99, several=True, points=(1,))
    # padding and the mean of all embeddings are both 0: 0.5 times each embedding times its place
    assert found.scores.tolist() == pytest.approx([0.5 * 1, 0.5 * -6 * 2, 0.5 * 2 * 3])
    assert [found.baseline, found.log_odds] == pytest.approx([0.0, -2.5])


def test_nothing_is_left_behind_in_the_model(classifier: Classifier) -> None:
    _attribute(classifier)
    assert all(values.grad is None and values.requires_grad for values in classifier.model.parameters())


@pytest.fixture(scope="module")
def predictor(tiny_base: Path) -> Predictor:
    return Predictor(load_classifier(str(tiny_base), LABELS, dropout=0.0), 20)


def test_tokens_stand_where_they_are_in_the_text(predictor: Predictor) -> None:
    text = "  the striker scored\ta naïve goal ⚽!"
    (found,) = predictor.explain([text])
    assert found.label == predictor.predict([text])[0].target
    for token in found.tokens:
        assert text[token.start : token.end] == token.text
    assert [word.text for word in found.words][:4] == ["the", "striker", "scored", "a"]
    assert all(text[word.start : word.end] == word.text for word in found.words)
    total = sum(token.score for token in found.tokens)
    assert total == pytest.approx(found.log_odds - found.baseline + found.gap, abs=1e-9)
    assert sum(word.score for word in found.words) == pytest.approx(total)


def test_what_was_not_read_has_no_score(predictor: Predictor) -> None:
    (found,) = predictor.explain(["goal " * 60], "b")
    assert (found.label, len(found.tokens)) == ("b", 20)
    assert found.words[-1].end < 120


def test_words_without_spaces_stay_tokens(predictor: Predictor) -> None:
    text = "足球比赛在北京举行" * 5
    (found,) = predictor.explain([text], "a")
    assert len(found.words) > 3
    assert "".join(word.text for word in found.words) == text[: found.words[-1].end]


@pytest.mark.parametrize("text", ["", " \n ", "\ud800", "\0"])
def test_odd_texts_are_explained_too(predictor: Predictor, text: str) -> None:
    (found,) = predictor.explain([text])
    assert len(found.tokens) >= 1
    assert np.isfinite([token.score for token in found.tokens]).all()


def test_no_text_and_no_such_label(predictor: Predictor) -> None:
    assert predictor.explain([]) == []
    with pytest.raises(ts.UserError, match="unknown-label"):
        predictor.explain(["x"], "d")


def test_the_word_that_was_learned_carries_the_answer(tiny_base: Path, tmp_path: Path) -> None:
    texts = [
        f"{text} {mark} {n}" for n in range(12) for text in (*SPORTS, *POLITICS) for mark in ("xx", "qq")
    ]
    lines = [f"{text}\t{'one' if ' xx ' in text else 'other'}\n" for text in texts]
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
    recipe = ts.Recipe(base=str(tiny_base), epochs=6, learning_rate=0.01, validation_fraction=0.1)
    model = ts.train(path, recipe=recipe, out=tmp_path / "run").load()
    (found,) = model.explain(["the coach praised the team xx 3"])
    assert found.label == "one"
    best = max(found.words, key=lambda word: word.score)
    assert best.text == "xx"


@pytest.mark.parametrize(("most_tokens", "turns"), [(0, 16), (16 * 4, 16), (48 * 4, 48)])
def test_of_a_long_text_fewer_points_are_looked_at(
    classifier: Classifier, most_tokens: int, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.model.attributions._COMPLETE", -1.0)
    monkeypatch.setattr("tunesmith.model.attributions._NEGLIGIBLE", -1.0)
    counted: list[int] = []

    def in_turn(work: Any) -> Any:
        counted.append(1)
        return work()

    predictor = Predictor(classifier, 4)
    (found,) = predictor.explain(
        ["goal " * 60], "a", micro_batch_tokens=1, most_tokens=most_tokens, in_turn=in_turn
    )
    assert len(found.tokens) == 4
    assert found.truncated
    assert len(counted) == 1 + turns
