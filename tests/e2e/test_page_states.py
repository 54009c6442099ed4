"""What the page does beyond an answer: why, what a probability means, two models, tables, reports; by anyone.

Every state is looked at with axe-core, in light and dark, narrow and wide.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.axe import Looks
from tests.e2e.test_page import KEY, Words, serving
from tests.unit.evaluation.conftest import MakeReport, make_report
from tests.unit.evaluation.understanding.test_shown import understood
from tunesmith.api.served import Loaded
from tunesmith.model.attributions import InTurn, at_once
from tunesmith.model.explanation import Explanation, TokenScore
from tunesmith.predict import Prediction

__all__ = ["make_report"]

LABELS = ("politics", "sports", "weather")
SECRET = "a text of the data"
SCORES = {"sports": 2.0, "<b>all</b>": -1.5, "😀": 0.5}
BINS = [
    {"low": 0.7, "high": 0.8, "rows": 412, "right": {"value": 0.76, "low": 0.72, "high": 0.8}},
    {"low": 0.9, "high": 1.0, "rows": 3, "right": {"value": 1.0, "low": 0.4, "high": 1.0}},
]


class Certain(Words):
    """Is always sure of politics."""

    def _answer(self, text: str) -> Prediction:
        scores = dict(zip(self.labels, (0.98, 0.01, 0.01), strict=True))
        return Prediction(self.labels[0], scores, False, len(text.split()))


def explain(
    texts: Sequence[str],
    label: str | None = None,
    *,
    micro_batch_tokens: int | None = None,
    most_tokens: int | None = None,
    in_turn: InTurn = at_once,
) -> list[Explanation]:
    (text,) = texts
    tokens = tuple(
        TokenScore(found[0], found.start(), found.end(), SCORES.get(found[0], 0.0))
        for found in re.finditer(r"\S+", text)
    )
    return [in_turn(lambda: Explanation(text, label or "", 2.0, 1.0, 0.0, tokens))]


@pytest.fixture
def report(make_report: MakeReport) -> Any:
    made = make_report(labels=LABELS, rows=120, text=SECRET)
    return replace(made, understanding=understood(made, LABELS, 120)).to_dict


def others() -> list[Loaded]:
    return [Loaded(Certain(), {"model": "certain", "calibration": {"ece": 0.1, "bins": BINS}})]


SERVED: dict[str, Any] = {"explain": explain, "calibration": {"ece": 0.02, "bins": BINS}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(others=others(), **SERVED) as found:
        yield found


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    opened = browser.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(url)
    yield opened
    opened.close()
    assert errors == []


def classify(page: Any, text: str = "all about sports") -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("#bars li")


def write_csv(path: Path, header: Sequence[str] = ("text", "note"), rows: int = 40) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([f"sports number {number}", f"a row, number {number}"] for number in range(rows))
    return path


def test_why_marks_the_words_and_lists_them(page: Any) -> None:
    classify(page, "😀 <b>all</b> about sports")
    page.get_by_role("button", name="Why?").click()
    page.wait_for_selector(".marked")
    assert page.locator(".marked").inner_text() == "😀 <b>all</b> about sports"
    marks = page.locator(".marked mark")
    assert marks.all_inner_texts() == ["😀", "<b>all</b>", "sports"]
    classes = marks.evaluate_all("all => all.map(one => one.className)")
    assert classes == ["for w1", "against w3", "for w3"]
    lines = marks.evaluate_all("all => all.map(one => getComputedStyle(one).textDecorationStyle)")
    assert lines == ["solid", "dotted", "solid"]
    assert page.locator(".telling dd").all_inner_texts() == ["sports +2.00\n😀 +0.50", "<b>all</b> −1.50"]
    assert "from +1.00 of a text without words to +2.00" in page.locator(".why .note").inner_text()


def test_another_answer_takes_the_reasons_away(page: Any) -> None:
    classify(page)
    page.get_by_role("button", name="Why?").click()
    page.wait_for_selector(".marked")
    classify(page, "all about politics")
    page.wait_for_selector("#said :text('politics')")
    assert page.locator(".marked").count() == 0


def test_what_a_probability_means_is_told_where_it_is_known(page: Any) -> None:
    classify(page)
    expected = "Of test texts answered with 70 to 80 %, 76 % were right (n = 412, 95 % interval 72 to 80 %)."
    assert page.locator("#holds").inner_text() == expected
    page.get_by_label("Compare with").select_option("certain")
    page.wait_for_selector("#agreement:not(:empty)")
    few = page.get_by_label("Answer of certain").locator(".holds").inner_text()
    assert few.startswith("Only 3 test texts answered with 90 to 100 %")


def test_two_models_answer_the_same_text_side_by_side(page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    classify(page)
    page.get_by_label("Compare with").select_option("certain")
    page.wait_for_selector("#agreement:not(:empty)")
    assert (
        page.locator("#agreement").inner_text() == "They differ: news gives sports, certain gives politics."
    )
    cards = page.locator(".answer")
    assert cards.locator(".verdict b").all_inner_texts() == ["sports", "politics"]
    assert cards.locator("[data-slot=why]").evaluate_all("all => all.map(one => one.hidden)") == [False, True]
    one, other = (cards.nth(at).bounding_box() for at in range(2))
    assert one["y"] == other["y"]
    page.set_viewport_size({"width": 360, "height": 900})
    one, other = (cards.nth(at).bounding_box() for at in range(2))
    assert other["y"] >= one["y"] + one["height"]
    page.get_by_label("Text", exact=True).fill("politics")
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("#agreement:text('They agree: both give politics.')")
    page.get_by_label("Compare with").select_option("")
    assert cards.count() == 1


def test_a_table_comes_back_with_labels(page: Any, tmp_path: Path) -> None:
    page.locator("#file").set_input_files(write_csv(tmp_path / "news.csv"))
    page.wait_for_selector("#download:not([hidden])")
    assert page.locator("#how-far").inner_text().startswith("40 of 40 rows")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download the result").click()
    assert downloading.value.suggested_filename == "news-labels.csv"
    with Path(downloading.value.path()).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 40
    assert {row["predicted_label"] for row in rows} == {"sports"}
    assert rows[7]["note"] == "a row, number 7"
    page.get_by_role("button", name="Another file").click()
    assert page.get_by_role("button", name="Choose a file").is_visible()


def test_a_file_may_be_dropped(page: Any) -> None:
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["text\\nsports\\n"], "dropped.csv", { type: "text/csv" }));
            document.getElementById("drop").dispatchEvent(
                new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    page.wait_for_selector("#download:not([hidden])")
    assert page.locator("#file-name").inner_text() == "dropped.csv"


def test_where_the_column_is_unclear_it_is_asked_for(page: Any, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "news.csv", ("one", 'the "other", one'))
    page.locator("#file").set_input_files(path)
    page.wait_for_selector("#columns:not([hidden])")
    assert page.locator("#batch-fault").inner_text()
    assert page.locator("#column option").all_inner_texts() == ["one", 'the "other", one']
    page.get_by_label("Column to read").select_option('the "other", one')
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector("#download:not([hidden])")


def test_a_batch_is_cancelled_at_the_server(page: Any, tmp_path: Path) -> None:
    page.route("**/v1/batches/batch_*", lambda route: route.continue_())
    page.locator("#file").set_input_files(write_csv(tmp_path / "news.csv"))
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        page.wait_for_selector("#how-far:text('rows')")
        page.locator("#cancel").click()
    assert deleted.value.status == 204
    assert page.get_by_role("button", name="Choose a file").is_visible()


def test_a_batch_that_is_cancelled_while_it_is_sent_is_forgotten_too(page: Any, tmp_path: Path) -> None:
    held: list[Any] = []
    page.route(re.compile(r"/v1/batches(\?|$)"), lambda route: held.append(route))
    with page.expect_request(re.compile(r"/v1/batches(\?|$)")):
        page.locator("#file").set_input_files(write_csv(tmp_path / "news.csv"))
    page.locator("#cancel").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        held[0].continue_()
    assert deleted.value.status == 204


def test_with_a_key_all_of_it_comes_once_the_key_is_there(browser: Any, report: Any, tmp_path: Path) -> None:
    with serving(others=others(), api_key=KEY, report=report, **SERVED) as url:
        page = browser.new_page()
        page.goto(url)
        assert page.locator("#models").count() == 0
        page.get_by_label("API key").fill(KEY)
        classify(page)
        page.wait_for_selector("#models")
        page.get_by_role("button", name="Why?").click()
        page.wait_for_selector(".marked")
        page.locator("#file").set_input_files(write_csv(tmp_path / "news.csv"))
        page.wait_for_selector("#download:not([hidden])")
        with page.expect_download():
            page.get_by_role("button", name="Download the result").click()
        page.get_by_role("link", name="Report of news").click()
        frame = page.frame_locator("#report-page")
        frame.locator("h1").wait_for()
        assert "120 test rows" in frame.locator("header").inner_text()
        width = frame.locator("main").evaluate("one => getComputedStyle(one).maxWidth")
        assert width == "1120px", "its style is there"
        page.get_by_role("link", name="certain", exact=True).click()
        page.wait_for_selector("#choice [aria-current]:text('certain')")
        assert page.get_by_label("Text", exact=True).input_value() == "all about sports"
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_keeps_anyone_out(browser: Any, report: Any, tmp_path: Path, scheme: Any) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, a dev dependency")
    looks = Looks(scheme)
    with serving(others=others(), report=report, **SERVED) as url:
        # changes of colour that are under way would be measured half-way
        page = browser.new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
        page.goto(url)
        looks.look(page, "empty")
        page.get_by_role("button", name="Classify").click()
        looks.look(page, "fault")
        classify(page)
        looks.look(page, "answered")
        page.get_by_role("button", name="Why?").click()
        page.wait_for_selector(".marked")
        looks.look(page, "explained")
        page.get_by_label("Compare with").select_option("certain")
        page.wait_for_selector("#agreement:not(:empty)")
        looks.look(page, "compared")
        page.locator("#file").set_input_files(write_csv(tmp_path / "a.csv", ("one", "other")))
        page.wait_for_selector("#columns:not([hidden])")
        looks.look(page, "column asked for")
        page.get_by_role("button", name="Go on").click()
        page.wait_for_selector("#download:not([hidden])")
        looks.look(page, "table done")
        page.get_by_role("link", name="Report of news").click()
        page.wait_for_url("**/report?model=news")
        looks.look(page, "report")
        page.context.close()
    assert looks.faults == {}
