"""Near-duplicates as the check tells them: both places, and no row that is the very same."""

from __future__ import annotations

from tunesmith.data.check import DataReport, check
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.near_checks import near_texts
from tunesmith.task import Task

TASK = Task(labels=("a", "b"))
STORY = "The minister said on Monday that the new law is to be read in the house before the end of June"
NEAR = STORY.replace("June", "July")
OTHERS = [
    f"A {word} that has nothing at all to do with the {word} of any other row" for word in ("cup", "film")
]


def rows(*texts: str, name: str = "f") -> Dataset:
    return dataset_of(TASK, list(texts), ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2), name)


def told(report: DataReport, code: str) -> list[tuple[str, int]]:
    return [(problem.what, problem.count) for problem in report.problems if problem.code == code]


def test_a_near_duplicate_is_told_with_both_texts() -> None:
    report = check(rows(*OTHERS, STORY, NEAR, STORY, NEAR.upper()))
    ((what, count),) = told(report, "near-duplicates")
    assert count == report.near_duplicates == 2
    assert "f:3" in what
    assert "The minister said on Monday" in what
    assert told(report, "duplicates")[0][1] == 2
    assert report.near_leaks == 0


def test_a_near_leak_is_told_with_the_row_of_each_set() -> None:
    held = {
        "test": rows(NEAR, STORY, "nothing of it", name="t"),
        "validation": rows(NEAR + " again", name="v"),
    }
    report = check(rows(*OTHERS, STORY), held_out=held)
    assert (report.near_duplicates, report.near_leaks) == (0, 2)
    (test, validation) = told(report, "near-leak")
    assert (test[1], validation[1]) == (1, 1)
    assert all("f:3" in what for what, _ in (test, validation))
    places = {problem.where for problem in report.problems if problem.code == "near-leak"}
    assert places == {'t:1, column "text"', 'v:1, column "text"'}


def test_a_near_duplicate_within_a_held_out_set_is_no_leak() -> None:
    report = check(rows(*OTHERS), held_out={"test": rows(STORY, NEAR)})
    assert (report.near_duplicates, report.near_leaks) == (0, 0)


def test_of_too_many_texts_none_is_compared() -> None:
    report = check(rows(*OTHERS, STORY, NEAR), most_compared=3)
    assert report.near_duplicates == 0
    assert [problem.severity for problem in report.problems if problem.code == "near-unknown"] == ["info"]


def test_nothing_is_near_in_a_set_without_rows() -> None:
    from tunesmith.data.facts import facts_of

    assert near_texts(facts_of(rows(STORY)), {"test": facts_of(rows())}, 10).problems == ()
