"""What an audit tells as problems, and what its page holds."""

from __future__ import annotations

import numpy as np

from tests.unit.audit.test_noise import TASK, data
from tunesmith.audit.language import languages_of
from tunesmith.audit.look import audit
from tunesmith.audit.page import as_html
from tunesmith.data.check import check, with_problems
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.facts import facts_of
from tunesmith.task import Task

ENGLISH = "The minister said on Monday that the new law would be read in the house before the end of"
GERMAN = "Der Minister sagte am Montag, dass das neue Gesetz noch vor dem Ende des Monats gelesen werde, im"


def codes(dataset: Dataset, held_out: dict[str, Dataset] | None = None) -> dict[str, str]:
    return {problem.code: problem.what for problem in audit(dataset, held_out or {}).problems}


def languages(english: int, german: int) -> Dataset:
    texts = [f"{ENGLISH} {number}" for number in range(english)]
    texts += [f"{GERMAN} {number}" for number in range(german)]
    return dataset_of(Task(kind="completion"), texts, ["x"] * len(texts))


def test_wrong_labels_are_told_with_the_first_of_them() -> None:
    what = codes(data(wrong=(3, 50, 100)))["doubtful-labels"]
    assert "of the labels are probably wrong" in what
    assert codes(data()) == {}


def test_a_shifted_set_is_told_with_its_words() -> None:
    other = dataset_of(TASK, [f"{text} yesterday" for text in data().texts], data().targets)
    what = codes(data(), {"test": other})["shift"]
    assert "an AUC of 1.00" in what
    assert "there and 'yesterday'" in what


def test_languages_are_counted_and_short_texts_are_of_none() -> None:
    found = languages_of(facts_of(languages(30, 5)))
    assert [(each.code, each.texts, each.where) for each in found.found] == [
        ("en", 30, "memory:1"),
        ("de", 5, "memory:31"),
    ]
    assert found.unsure == 0
    short = dataset_of(Task(kind="completion"), ["hello", "bonjour"], ["x", "y"])
    assert languages_of(facts_of(short)).unsure == 2
    assert "en 85.7%, de 14.3%" in codes(languages(30, 5))["languages"]
    assert codes(languages(30, 2)) == {}


def test_nothing_is_said_of_no_rows_and_labels_are_not_doubted_unasked() -> None:
    assert audit(data().take(np.arange(0)), {}).problems == ()
    assert audit(data(wrong=(3, 50)), {}, noise=False).noise is None


def test_the_page_shows_what_was_found_and_escapes_it() -> None:
    dataset = data(wrong=(3, 50))
    twin = " ".join(["<script>alert(1)</script>", *(f"word{number}" for number in range(20))])
    dataset = dataset_of(TASK, [twin, f"{twin} more", *dataset.texts[2:]], dataset.targets)
    other = dataset_of(TASK, [f"{text} yesterday" for text in data().texts], data().targets)
    found = audit(dataset, {"test": other})
    report = with_problems(check(dataset, held_out={"test": other}), found.problems)
    page = as_html(report, found, "news & co.csv")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "news &amp; co.csv" in page
    for part in ("Labels that are probably wrong", "Whether the sets are alike", "Rows of each label"):
        assert part in page
    assert "yesterday" in page
    assert "http" not in page.replace("http-equiv", "")
