"""GPTClassifier among scikit-learn's own: what it learns, keeps and refuses."""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.models import POLITICS, SPORTS
from tunesmith.errors import BaseError, BundleError
from tunesmith.listener import Listener
from tunesmith.recipe import Recipe
from tunesmith.sklearn import GPTClassifier

TEXTS = [f"{text} in round {number}" for number in range(4) for text in SPORTS + POLITICS]
NAMES = ["sports", "sports", "sports", "politics", "politics", "politics"] * 4
# learns these texts, in some steps
QUICK: dict[str, Any] = {
    "method": "full",
    "learning_rate": 0.01,
    "epochs": 4,
    "batch_tokens": 150,
    "target_replication": 0.0,
    "token_dropout": 0.0,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def quick(tiny_base: Path) -> GPTClassifier:
    return GPTClassifier(str(tiny_base), **QUICK)


@pytest.fixture(scope="module")
def fitted(quick: GPTClassifier) -> GPTClassifier:
    return clone(quick).fit(TEXTS, NAMES)  # type: ignore[no-any-return]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_hyperparameters_are_those_of_a_recipe() -> None:
    of_recipe = {name: field.default for name, field in Recipe.model_fields.items()}
    # of a test and how it is drawn, of rivals, of a search, of other kinds of task, of torchrun
    for name in ("test_fraction", "group_column", "time_column", "split", "fold", "rival_seconds", "search"):
        of_recipe.pop(name)
    # and random_state stands for the seed
    for name in ("max_new_tokens", "judged_rows", "beta", "parallel", "seed"):
        of_recipe.pop(name)
    # said by batch_tokens and learning_rate
    for name in ("batch_examples", "learning_rate_factor"):
        of_recipe.pop(name)
    taken = {name: given.default for name, given in signature(GPTClassifier).parameters.items()}
    assert taken == {**of_recipe, "random_state": None, "verbose": 0}
    assert list(taken) == [*of_recipe, "random_state", "verbose"]


def test_it_learns(fitted: GPTClassifier) -> None:
    assert fitted.classes_.tolist() == ["politics", "sports"]
    assert fitted.score(TEXTS, NAMES) > 0.9
    probabilities = fitted.predict_proba(TEXTS)
    assert probabilities.shape == (24, 2)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(24))
    assert (fitted.predict(pd.Series(TEXTS)) == fitted.classes_[probabilities.argmax(axis=1)]).all()
    assert fitted.recipe_.max_tokens == 64
    assert [row["epoch"] for row in fitted.history_][-1] == 4


@pytest.mark.parametrize("values", [(2, 1), (True, False), (1.0, 0.0), (np.int8(5), np.int8(-3))])
def test_classes_keep_their_type(quick: GPTClassifier, values: tuple[Any, Any]) -> None:
    y = np.array([values[name == "sports"] for name in NAMES])
    model = clone(quick).set_params(epochs=1).fit(TEXTS, y)
    assert model.classes_.dtype == y.dtype
    assert model.classes_.tolist() == sorted(y[[0, 5]].tolist())
    assert model.predict(TEXTS).dtype == y.dtype


def test_the_seed_follows_the_conventions(quick: GPTClassifier) -> None:
    def answers(random_state: Any) -> Any:
        model = clone(quick).set_params(epochs=1, random_state=random_state).fit(TEXTS, NAMES)
        return model.predict_proba(TEXTS[:2]).tolist()

    assert answers(3) == answers(3) == answers(np.random.RandomState(3)) != answers(4)
    np.random.seed(3)  # None means this generator
    assert answers(None) == answers(3) != answers(None)


def _modules_in(data: bytes) -> set[str]:
    """The modules whose classes a pickle makes."""
    found = set()

    class Listening(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found.add(module.partition(".")[0])
            return super().find_class(module, name)

    Listening(io.BytesIO(data)).load()
    return found


def test_a_pickle_holds_the_files_of_a_bundle(fitted: GPTClassifier, places: Path) -> None:
    data = pickle.dumps(fitted)
    again = pickle.loads(data)
    assert (again.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    assert again.classes_.tolist() == fitted.classes_.tolist()
    assert (again.recipe_, again.history_) == (fitted.recipe_, fitted.history_)
    assert again.get_params() == fitted.get_params()
    assert not {module for module in _modules_in(data) if module.startswith(("torch", "transformers"))}
    files = fitted.__getstate__()["_bundle"]["files"]
    assert {"model.safetensors", "task.yaml", "recipe.yaml", "manifest.json"} <= files.keys()
    assert list(places.iterdir()) == []


def test_a_pickle_that_was_changed_is_refused(fitted: GPTClassifier) -> None:
    state = fitted.__getstate__()
    state["_bundle"]["files"]["task.yaml"] += b"\n"
    with pytest.raises(BundleError, match=r"task\.yaml"):
        GPTClassifier().__setstate__(state)


def test_an_estimator_without_a_fit_pickles_too(quick: GPTClassifier) -> None:
    assert pickle.loads(pickle.dumps(quick)).get_params() == quick.get_params()


def test_it_is_silent_unless_asked(
    quick: GPTClassifier, places: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = clone(quick).set_params(epochs=1).fit(TEXTS, NAMES)
    model.predict(pickle.loads(pickle.dumps(model)).predict(TEXTS))
    assert capfd.readouterr() == ("", "")
    assert list(places.iterdir()) == []
    model.set_params(verbose=1).fit(TEXTS, NAMES)
    assert "Fine-tuning" in capfd.readouterr().err


class _Stops(Listener):
    def __init__(self, place: Path) -> None:
        self.place, self.seen = place, 0

    def training(self, progress: Any) -> None:
        self.seen = len(list(self.place.iterdir()))
        raise KeyboardInterrupt


def test_it_can_be_stopped(fitted: GPTClassifier, places: Path) -> None:
    class Stopped(GPTClassifier):
        @contextmanager
        def _listening(self) -> Iterator[Listener]:
            yield stops

    stops = _Stops(places)
    model = Stopped(**fitted.get_params())
    with pytest.raises(KeyboardInterrupt):
        model.fit(TEXTS, NAMES)
    assert stops.seen == 1, "it was stopped in the midst of its work"
    assert list(places.iterdir()) == []
    assert not hasattr(model, "classes_")


def _proba(quick: GPTClassifier, rows: list[int], weights: Any = None, **changes: Any) -> Any:
    exact = {"dropout": 0.0, "epochs": 3, "batch_tokens": 1_000_000, "validation_fraction": 0.0, **changes}
    model = clone(quick).set_params(**exact)
    y = [NAMES[row] for row in rows]
    return model.fit([TEXTS[row] for row in rows], y, weights).predict_proba(TEXTS)


@pytest.mark.parametrize("class_weights", ["none", "auto"])
def test_a_weight_of_two_is_the_row_twice(quick: GPTClassifier, class_weights: str) -> None:
    twice = [0, 4, 9]
    weights = np.where(np.isin(np.arange(12), twice), 2.0, 1.0)
    by_weight = _proba(quick, list(range(12)), weights, class_weights=class_weights)
    by_rows = _proba(quick, [*range(12), *twice], class_weights=class_weights)
    plain = _proba(quick, list(range(12)), class_weights=class_weights)
    assert by_weight == pytest.approx(by_rows, abs=1e-3)
    assert np.abs(by_weight - plain).max() > 5e-3


def test_a_weight_of_none_is_no_row(quick: GPTClassifier) -> None:
    kept = [row for row in range(24) if row % 5]
    weights = [float(row in kept) for row in range(24)]
    changes: dict[str, Any] = {"validation_fraction": 0.3, "dropout": None, "batch_tokens": 150}
    assert (_proba(quick, list(range(24)), weights, **changes) == _proba(quick, kept, **changes)).all()


def test_rows_kept_for_validation_bring_their_weights(quick: GPTClassifier) -> None:
    heavy = [3.0 if name == "sports" else 1.0 for name in NAMES]
    weighed = clone(quick).set_params(validation_fraction=0.3, class_weights="none").fit(TEXTS, NAMES, heavy)
    assert any("validation_loss" in row for row in weighed.history_)


def test_it_is_compared_by_cross_validation(quick: GPTClassifier) -> None:
    assert cross_val_score(quick, TEXTS, NAMES, cv=2).mean() > 0.7


def test_it_is_searched_in_a_pipeline(quick: GPTClassifier) -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, quick)
    search = GridSearchCV(pipeline, {"gptclassifier__epochs": [1, 4]}, cv=2).fit(TEXTS, NAMES)
    assert search.best_params_ == {"gptclassifier__epochs": 4}
    assert search.best_estimator_[-1].recipe_.epochs == 4
    assert search.predict(["THE COACH PRAISED THE TEAM"]).tolist() == ["sports"]


def test_it_is_calibrated(quick: GPTClassifier) -> None:
    model = CalibratedClassifierCV(clone(quick).set_params(epochs=2), cv=2).fit(TEXTS, NAMES)
    assert model.predict_proba(TEXTS).shape == (24, 2)


def test_it_has_a_learning_curve(quick: GPTClassifier) -> None:
    sizes, trained, judged = learning_curve(
        clone(quick).set_params(epochs=1), np.array(TEXTS), NAMES, train_sizes=[6, 12], cv=2, shuffle=True
    )
    assert sizes.tolist() == [6, 12]
    assert np.isfinite(trained).all()
    assert np.isfinite(judged).all()


def test_it_votes_beside_another(fitted: GPTClassifier, quick: GPTClassifier) -> None:
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    both = VotingClassifier([("gpt", quick), ("words", words)], voting="soft").fit(TEXTS, NAMES)
    expected = (fitted.predict_proba(TEXTS) + words.fit(TEXTS, NAMES).predict_proba(TEXTS)) / 2
    assert both.predict_proba(TEXTS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0}, "`epochs`: Input should be greater than or equal to 1; it is 0"),
        ({"method": "none"}, "a hyperparameter of GPTClassifier"),
        ({"random_state": -1}, "Seed must be between"),
    ],
)
def test_hyperparameters_are_checked_when_fitting(
    quick: GPTClassifier, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        clone(quick).set_params(**changes).fit(TEXTS, NAMES)


def test_a_base_that_is_not_there_is_told(quick: GPTClassifier, tmp_path: Path) -> None:
    with pytest.raises(BaseError):
        clone(quick).set_params(base=str(tmp_path / "none")).fit(TEXTS, NAMES)


@pytest.mark.parametrize(
    ("texts", "y", "said"),
    [
        ([], [], "there are 0 texts to learn from"),
        (TEXTS[:4], NAMES[:3], "inconsistent"),
        (TEXTS[:3], NAMES[:3], "only one class: 'sports'"),
        (TEXTS[:4], [" ", *NAMES[1:4]], "a label must not be empty"),
        (["same"] * 4, NAMES[1:5], "hold the same text"),
    ],
)
def test_rows_are_checked_when_fitting(quick: GPTClassifier, texts: Any, y: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clone(quick).fit(texts, y)
