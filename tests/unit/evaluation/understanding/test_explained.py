"""Which mistakes are explained, for which label, and for how long."""

from __future__ import annotations

from tunesmith.evaluation.types import Mistake
from tunesmith.evaluation.understanding.explained import explain_mistakes
from tunesmith.model.explanation import Explanation, TokenScore

MISTAKES = [Mistake(f"text {number}", f"t.csv:{number}", "a", "b", 0.9) for number in range(4)]


def explain(text: str, label: str) -> Explanation:
    tokens = (TokenScore(text[:4], 0, 4, 1.0), TokenScore(text[4:6], 4, 6, -0.5))
    return Explanation(text, label, 2.0, 1.5, 0.0, tokens)


def test_the_wrong_answer_is_explained() -> None:
    found = explain_mistakes(explain, MISTAKES, ("a", "b"), seconds=60, clock=lambda: 0.0)
    assert [(each.where, each.label) for each in found] == [(each.where, "b") for each in MISTAKES]
    assert [(word.start, word.end, word.score) for word in found[0].words] == [(0, 4, 1.0), (5, 6, -0.5)]


def test_of_several_labels_one_decision_is() -> None:
    added = Mistake("text 1", "t.csv:1", "a", "a, b", 0.9, (), ("b",))
    missed = Mistake("text 2", "t.csv:2", "a, b", "b", 0.9, ("a",), ())
    found = explain_mistakes(explain, [added, missed], ("a", "b"), seconds=60, clock=lambda: 0.0)
    assert [each.label for each in found] == ["b", "a"]


def test_it_ends_when_time_is_up() -> None:
    ticks = iter([0.0, 0.0, 50.0, 61.0])
    found = explain_mistakes(explain, MISTAKES, ("a", "b"), seconds=60, clock=lambda: next(ticks))
    assert len(found) == 2


def test_only_what_was_read_is_kept() -> None:
    def cut(text: str, label: str) -> Explanation:
        return Explanation(text, label, 2.0, 1.5, 0.0, (TokenScore("text", 0, 4, 1.0),))

    (found, *_) = explain_mistakes(cut, MISTAKES, ("a", "b"), seconds=60, clock=lambda: 0.0)
    assert found.text == "text"
