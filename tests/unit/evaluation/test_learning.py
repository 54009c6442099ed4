"""From what models answered to a curve, its sentence and its picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.evaluation.conftest import MakeReport, answers, unseen
from tests.unit.evaluation.test_terminal import shown
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.learning import Learned, build_learning_curve
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.predictions import Predictions, label_predictions
from tunesmith.evaluation.types import LearningCurve, Report

LABELS = ("a", "b", "c")


def _answered(skill: float, seed: int, rows: int = 400) -> Predictions:
    test = unseen(LABELS, rows)
    return label_predictions(test, answers(np.asarray(test.label_ids), 3, seed, skill))


def _curve(skills: list[float], rows: int = 400) -> LearningCurve:
    learned = [
        Learned(100 * 2**at, _answered(skill, 9, rows), _answered(1.0, 1, rows), 1.5 * 2**at)
        for at, skill in enumerate(skills)
    ]
    return build_learning_curve(learned, "validation", 0)


def test_its_points_are_what_was_measured() -> None:
    curve = _curve([0.5, 1.5, 2.5, 3.0])
    assert [point.rows for point in curve.points] == [100, 200, 400, 800]
    answered = _answered(1.5, 9)
    assert answered.probabilities is not None
    macro_f1 = measure(answered.truth, answered.probabilities)["macro_f1"]
    assert curve.points[1].macro_f1 == macro_f1
    assert curve.points[1].interval.low < macro_f1 < curve.points[1].interval.high
    assert (curve.judged_rows, curve.points[3].train_seconds) == (400, 12.0)


def test_a_curve_that_rises_says_what_twice_the_rows_would_bring() -> None:
    curve = _curve([0.0, 1.0, 1.8, 2.5], rows=2_000)
    assert curve.gain is not None
    assert 0 < curve.gain.low < curve.gain.value < curve.gain.high
    assert curve.says.startswith("Twice the training rows (1,600) would bring about +0.0")


def test_a_curve_of_noise_says_that_it_cannot_tell() -> None:
    rival = _answered(1.0, 1, 60)
    learned = [Learned(100 * 2**at, _answered(1.0, 20 + at, 60), rival, 1.0) for at in range(4)]
    curve = build_learning_curve(learned, "test", 0)
    assert curve.gain is not None
    assert curve.gain.low < 0 < curve.gain.high
    assert "flat within noise" in curve.says


def test_a_curve_that_rises_unevenly_cannot_tell_either() -> None:
    curve = _curve([0.0, 1.6, 0.6, 1.2], rows=200)
    assert curve.gain is not None
    assert curve.gain.low < 0 < curve.gain.high
    assert "rises, but not evenly" in curve.says


def test_a_curve_that_has_flattened_is_said_to_have() -> None:
    assert "flattened" in _curve([2.0, 2.0, 2.0, 2.0]).says


def test_of_two_sizes_nothing_is_said() -> None:
    curve = _curve([1.0, 2.0])
    assert curve.gain is curve.rival_gain is None
    assert "too few sizes" in curve.says


def test_it_travels_in_the_report_and_is_shown(make_report: MakeReport) -> None:
    curve = _curve([0.5, 1.5, 2.5, 3.0])
    report = replace(make_report(), learning_curve=curve)
    assert Report.from_dict(report.to_dict()) == report
    page, told = as_html(report, "news"), shown(report)
    assert "What more data would bring" in page
    assert 'id="learning-title"' in page
    assert curve.says.split(":")[0] in " ".join(told.split())
    assert "What more data would bring" not in as_html(make_report(), "news")


@pytest.mark.parametrize("skills", [[1.0, 1.0], [99.0, 99.0, 99.0], [-9.0, -9.0, -9.0]])
def test_any_curve_can_be_drawn(make_report: MakeReport, skills: list[float]) -> None:
    assert "<svg" in as_html(replace(make_report(), learning_curve=_curve(skills)), "news")
