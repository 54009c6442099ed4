"""The page in a real browser: write, click, read the answer; and nothing is asked of anyone else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.served import Served
from tunesmith.api.app import create_app
from tunesmith.api.explaining import Explain
from tunesmith.api.runner import Server
from tunesmith.api.served import Loaded
from tunesmith.api.settings import Settings
from tunesmith.predict import Prediction

KEY = "a-key-that-nobody-can-guess"


class Words(Served):
    """Finds a label's name in a text."""

    labels = ("politics", "sports", "<b>weather</b>")
    max_tokens = 12

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        if any("explode" in text for text in texts):
            raise ValueError
        return [self._answer(text) for text in texts]

    def _answer(self, text: str) -> Prediction:
        target = next((label for label in self.labels if label in text), self.labels[-1])
        scores = {label: 0.8 if label == target else 0.1 for label in self.labels}
        return Prediction(target, scores, len(text.split()) > self.max_tokens, len(text.split()))


class Topics(Words):
    """Gives every label whose name stands in the text."""

    def _answer(self, text: str) -> Prediction:
        given = tuple(label for label in self.labels if label in text)
        scores = {label: 0.8 if label in given else 0.1 for label in self.labels}
        return Prediction(given, scores, False, len(text.split()))


@contextmanager
def serving(
    words: Words | None = None,
    others: Sequence[Loaded] = (),
    *,
    explain: Explain | None = None,
    report: Callable[[], object] | None = None,
    calibration: object = None,
    **settings: Any,
) -> Iterator[str]:
    about = {
        "model": "news",
        "base": "embedded",
        "parameters": 12_345_678,
        "macro_f1": {"value": 0.901, "low": 0.894, "high": 0.907},
        "test_rows": 7600,
        "calibration": calibration,
    }
    ready = threading.Event()
    app = create_app(
        words or Words(), Settings(**settings), about=about, others=others, explain=explain, report=report
    )
    server = Server(app, ready.set)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert ready.wait(20)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as found:
        yield found


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page, opened; whatever the browser complains of or asks of others fails the test."""
    opened = browser.new_page()
    complaints: list[str] = []
    opened.on("request", lambda asked: complaints.append(asked.url))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text))
    opened.goto(url)
    yield opened
    opened.close()
    ours = (url, "Failed to load resource: the server responded with a status of 500")
    assert not [complaint for complaint in complaints if not complaint.startswith(ours)]


def test_a_click_shows_the_label_and_the_bars(page: Any) -> None:
    page.get_by_label("Text").fill("all about sports")
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("#bars li")
    assert page.locator("#said b").inner_text() == "sports"
    assert page.locator("#bars .share").all_inner_texts() == ["80.0 %", "10.0 %", "10.0 %"]
    widths = page.locator("#bars .fill").evaluate_all("all => all.map(one => one.style.transform)")
    assert widths == ["scaleX(0.8)", "scaleX(0.1)", "scaleX(0.1)"]
    assert "3 tokens read" in page.locator("#usage").inner_text()


def test_ctrl_enter_asks_too_and_a_cut_is_told(page: Any) -> None:
    page.get_by_label("Text").fill("politics " * 20)
    page.get_by_label("Text").press("Control+Enter")
    page.wait_for_selector("#bars li")
    assert page.locator("#said b").inner_text() == "politics"
    assert "its end was left out" in page.locator("#usage").inner_text()


def test_labels_are_shown_as_text(page: Any) -> None:
    page.get_by_label("Text").fill("neither")
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("#bars li")
    assert page.locator("#said b").inner_text() == "<b>weather</b>"
    assert page.locator("#bars b").count() == 0


def test_faults_are_shown_in_place_and_go_away(page: Any) -> None:
    page.get_by_role("button", name="Classify").click()
    assert page.locator("#fault").inner_text().startswith("There is no text yet.")
    page.get_by_label("Text").fill("explode")
    page.get_by_role("button", name="Classify").click()
    page.locator("#fault", has_text="server-fault").wait_for()
    assert "req_" in page.locator("#fault").inner_text()
    page.get_by_label("Text").fill("sports")
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("#bars li")
    assert page.locator("#fault").inner_text() == ""


def test_the_keyboard_reaches_all_of_it(page: Any) -> None:
    page.keyboard.press("Tab")
    page.keyboard.type("sports by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#bars li")
    assert page.locator("#said").get_attribute("role") == "status"
    assert page.locator("#said b").inner_text() == "sports"


@pytest.mark.parametrize("path", ["", "docs"])
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(page: Any, url: str, width: int, path: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(url + path)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_javascript_it_says_how_to_ask(browser: Any, url: str) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(url)
    assert "needs JavaScript" in plain.inner_text("main")
    assert "/v1/classify" in plain.inner_text("#code")
    assert not plain.is_visible("#form")
    assert "0.894 to 0.907" in plain.inner_text("main")


def test_with_a_key_the_page_asks_for_it(browser: Any) -> None:
    with serving(api_key=KEY) as url:
        opened = browser.new_page()
        opened.goto(url)
        opened.get_by_label("Text").fill("all about sports")
        opened.get_by_role("button", name="Classify").click()
        opened.locator("#fault", has_text="wrong-key").wait_for()
        opened.get_by_label("API key").fill(KEY)
        opened.get_by_label("API key").press("Enter")
        opened.wait_for_selector("#bars li")
        assert opened.locator("#said b").inner_text() == "sports"
        opened.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sports and politics", ["politics\n80.0 %", "sports\n80.0 %"]),
        ("a duck", ["No label is likely enough."]),
    ],
)
def test_any_number_of_labels_is_shown(browser: Any, text: str, said: list[str]) -> None:
    with serving(Topics()) as url:
        opened = browser.new_page()
        opened.goto(url)
        opened.get_by_label("Text").fill(text)
        opened.get_by_role("button", name="Classify").click()
        opened.wait_for_selector("#bars li")
        assert opened.locator("#said .verdict").all_inner_texts() == said
        assert opened.locator("#bars li").count() == 3
        opened.close()


def test_another_model_is_a_click_away(browser: Any) -> None:
    with serving(others=[Loaded(Topics(), {"model": "topics", "kind": "multi_label"})]) as url:
        opened = browser.new_page()
        opened.goto(url)
        opened.get_by_role("link", name="topics").click()
        assert "any number of which may fit" in opened.inner_text("main")
        opened.get_by_label("Text").fill("sports and politics")
        opened.get_by_role("button", name="Classify").click()
        opened.wait_for_selector("#bars li")
        assert opened.locator("#said .verdict").count() == 2
        opened.get_by_role("link", name="news").click()
        opened.get_by_label("Text").fill("sports and politics")
        opened.get_by_role("button", name="Classify").click()
        opened.wait_for_selector("#bars li")
        assert opened.locator("#said .verdict").count() == 1
        opened.close()
