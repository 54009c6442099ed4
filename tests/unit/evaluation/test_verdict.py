"""The verdict says what the paired intervals say, and no more."""

from __future__ import annotations

import pytest

from tunesmith.evaluation.types import Difference, Interval, LabelScore, RivalScore
from tunesmith.evaluation.verdict import judge, outcome
from tunesmith.evaluation.wording import CHRF, WORD_F1

UP, SAME, DOWN = Difference(0.03, 0.01, 0.05), Difference(0.01, -0.01, 0.03), Difference(-0.03, -0.05, -0.01)


def rival(name: str, by_f1: Difference, by_accuracy: Difference | None = None) -> RivalScore:
    differences = {"macro_f1": by_f1, "accuracy": by_accuracy or by_f1}
    return RivalScore(name, "somehow", {}, {}, differences, 1.0, 1.0)


def label(name: str, rows: int) -> LabelScore:
    return LabelScore(name, rows, rows, 1.0, 1.0, 1.0, Interval(0.9, 1.0))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (UP, "beats"),
        (SAME, "not distinguishable"),
        (DOWN, "worse"),
        (Difference(0.0, 0.0, 0.0), "not distinguishable"),
        (Difference(0.01, 0.0, 0.02), "not distinguishable"),
    ],
)
def test_an_interval_decides(found: Difference, expected: str) -> None:
    assert outcome(found) == expected


@pytest.mark.parametrize(
    ("rivals", "headline", "beats"),
    [
        ([], "Not compared with any rival", ()),
        ([rival("A", UP)], "Better than A", ("A",)),
        ([rival("A", UP), rival("B", UP), rival("C", UP)], "Better than A, B and C", ("A", "B", "C")),
        ([rival(name, UP) for name in "ABCD"], "Better than all 4 rivals", tuple("ABCD")),
        ([rival(name, DOWN) for name in "ABCD"], "Worse than A, B and 2 more rivals", ()),
        ([rival("A", UP), rival("B", SAME)], "Not distinguishable from B", ("A",)),
        ([rival("A", SAME), rival("B", DOWN)], "Worse than B", ()),
    ],
)
def test_the_headline_is_the_least_flattering_truth(
    rivals: list[RivalScore], headline: str, beats: tuple[str, ...]
) -> None:
    verdict = judge(rivals, [label("x", 500)], 500)
    assert (verdict.headline, verdict.beats) == (headline, beats)
    assert len(verdict.sentences) == len(rivals)


def test_sentences_give_the_numbers() -> None:
    sentences = judge([rival("A", UP), rival("B", SAME), rival("C", DOWN)], [], 500).sentences
    assert sentences[0] == "Beats A: macro-F1 is 0.030 higher (95 % interval +0.010 to +0.050)."
    assert "B" in sentences[1]
    assert "may be chance (95 % interval −0.010 to +0.030)" in sentences[1]
    assert sentences[2].startswith("Is worse than C: macro-F1 is 0.030 lower")


def test_accuracy_is_named_where_it_says_otherwise() -> None:
    said = judge([rival("A", UP, DOWN)], [], 500).sentences[0]
    assert said.endswith("; its accuracy is lower (−0.030, 95 % interval −0.050 to −0.010).")


def test_another_score_may_lead() -> None:
    chrf = {"chrf": Difference(3.14159, 1.0, 5.0), "word_f1": DOWN}
    found = RivalScore("A", "somehow", {}, {}, chrf, 1.0, 1.0)
    verdict = judge([found], [], 500, WORD_F1, CHRF, ["Mind the gap."])
    assert verdict.sentences == (
        "Beats A: chrF is 3.1 higher (95 % interval +1.0 to +5.0);"
        " its word F1 is lower (−0.030, 95 % interval −0.050 to −0.010).",
        "Mind the gap.",
    )


def test_few_rows_and_absent_labels_are_said_aloud() -> None:
    labels = [label("here", 20), *(label(f"gone{index}", 0) for index in range(7))]
    few, absent = judge([], labels, 20).sentences
    assert few == "With only 20 test rows every number here is rough."
    assert "“gone0”, “gone1”, “gone2”, “gone3”, “gone4” or 2 more labels" in absent
