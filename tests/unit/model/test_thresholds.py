from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tunesmith.model.thresholds import Thresholds, fit_thresholds


def _drawn(rows: int, seed: int, digits: int = 2) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    truth = draw.random((rows, 3)) < (0.5, 0.3, 0.02)
    return truth, np.round(np.clip(0.3 * truth + 0.7 * draw.random((rows, 3)), 0, 1), digits)


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 200))
def test_no_threshold_is_better(seed: int) -> None:
    truth, probabilities = _drawn(60, seed)
    fitted = fit_thresholds(truth, probabilities)
    for label_id in (0, 1):
        column = probabilities[:, label_id]
        reached = f1_score(truth[:, label_id], column >= fitted.labels[label_id])
        cuts = np.unique(column)
        best = max(f1_score(truth[:, label_id], column >= cut, zero_division=0.0) for cut in cuts)
        assert reached == pytest.approx(best)


def test_rare_labels_share_a_threshold() -> None:
    truth, probabilities = _drawn(200, 0)
    fitted = fit_thresholds(truth, probabilities)
    assert 0 < truth[:, 2].sum() < 8
    assert fitted.labels[2] == fitted.shared
    assert fitted.labels[0] != fitted.shared
    given = probabilities >= fitted.shared
    best = max(
        f1_score(truth, probabilities >= cut, average="micro", zero_division=0.0)
        for cut in np.unique(probabilities)
    )
    assert f1_score(truth, given, average="micro") == pytest.approx(best)


def test_without_a_row_to_learn_from_it_is_one_half() -> None:
    nothing = np.zeros((5, 2), np.bool_)
    assert fit_thresholds(nothing, np.full((5, 2), 0.3)) == Thresholds.unfitted(2)


def test_one_label_may_need_every_text() -> None:
    truth = np.ones((9, 1), np.bool_)
    probabilities = np.linspace(0.1, 0.9, 9)[:, None]
    assert fit_thresholds(truth, probabilities).given(probabilities).all()


def test_they_travel_as_json_by_name() -> None:
    fitted = Thresholds((0.25, 0.75), 0.5)
    values = fitted.to_dict(("b", "a"))
    assert values == {"shared": 0.5, "labels": {"b": 0.25, "a": 0.75}}
    assert Thresholds.from_dict(values, ("a", "b")) == Thresholds((0.75, 0.25), 0.5)


@pytest.mark.parametrize(
    "values", [{}, {"labels": {"a": 0.5}, "shared": 0.5}, {"labels": {"a": 0.5, "b": 2}, "shared": 0.5}, []]
)
def test_thresholds_of_other_labels_are_refused(values: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Thresholds.from_dict(values, ("a", "b"))
