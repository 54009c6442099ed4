"""The page to label on: guarded, and in a real browser with the mouse, the keyboard and undo."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.api.runner import Server
from tunesmith.labelling.journal import open_journal
from tunesmith.labelling.page import create_page
from tunesmith.labelling.session import Session
from tunesmith.labelling.texts import Texts

KEY = "a-key-that-nobody-can-guess"
LABELS = ("politics", "sports", "<b>weather</b>")
TEXTS = Texts(
    ("parliament passed <i>the budget</i>", "the striker scored\ntwice", "rain in the north"),
    ("texts.csv:2", "texts.csv:3", "texts.csv:5"),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A page that is served, and the file of its answers."""

    url: str
    out: Path

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]


@contextmanager
def _serving(out: Path, several: bool = False) -> Iterator[Desk]:
    ready = threading.Event()
    with open_journal(out, LABELS, several=several) as journal:
        app = create_page(Session(TEXTS, journal), LABELS, several=several, key=KEY)
        server = Server(app, ready.set)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            assert ready.wait(20)
            yield Desk(f"http://127.0.0.1:{listener.getsockname()[1]}/", out)
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with _serving(tmp_path / "labelled.jsonl") as served:
        yield served


@pytest.fixture
def client(desk: Desk) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {KEY}"}) as made:
        yield made


def test_an_answer_is_kept_and_the_next_text_told(desk: Desk, client: httpx.Client) -> None:
    first = client.get("state").json()
    assert (first["labelled"], first["left"], first["can_undo"]) == (0, 3, False)
    second = client.post("answer", json={"row": first["row"], "labels": ["sports"]}).json()
    assert (second["labelled"], second["left"], second["can_undo"]) == (1, 2, True)
    assert desk.answers == [{"text": first["text"], "label": "sports", "where": first["where"]}]
    # a second click on the same text
    assert client.post("answer", json={"row": first["row"], "labels": ["politics"]}).json() == second
    assert len(desk.answers) == 1
    assert client.post("undo").json() == first
    assert desk.answers == []
    assert client.post("skip", json={"row": first["row"]}).json()["skipped"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"row": 0, "labels": ["unknown"]},
        {"row": 0, "labels": []},
        {"row": 0, "labels": ["sports", "politics"]},
        {"row": "0", "labels": ["sports"]},
        {"labels": ["sports"]},
        {"row": 0, "labels": ["sports"], "more": 1},
        [],
    ],
)
def test_what_is_no_answer_is_refused(desk: Desk, client: httpx.Client, body: Any) -> None:
    said = client.post("answer", json=body)
    assert said.status_code == 400
    assert said.json()["error"]["code"] in ("bad-field", "bad-request")
    assert desk.answers == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 401, "wrong-key"),
        ({"Authorization": "Bearer another"}, 401, "wrong-key"),
        ({"Host": "evil.example"}, 400, "unknown-host"),
        ({"Origin": "https://evil.example"}, 403, "foreign-origin"),
    ],
)
def test_others_are_kept_out(
    desk: Desk, client: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    for path in ("answer", "skip", "undo"):
        said = client.post(path, json={"row": 0, "labels": ["sports"]}, headers=headers)
        assert (said.status_code, said.json()["error"]["code"]) == (status, code)
    if status != 403:
        assert client.get("state", headers=headers).status_code == status
    assert desk.answers == []


def test_the_page_itself_tells_no_text(desk: Desk) -> None:
    said = httpx.get(desk.url)
    assert said.status_code == 200
    assert "parliament" not in said.text
    assert "script-src 'self'" in said.headers["content-security-policy"]
    assert httpx.get(f"{desk.url}static/label.js").status_code == 200
    assert httpx.get(f"{desk.url}static/..%2f__init__.py").status_code == 404
    assert httpx.get(f"{desk.url}openapi.json").status_code == 404


@contextmanager
def _opened(browser: Any, desk: Desk, key: str = KEY) -> Iterator[Any]:
    """The page; whatever the browser complains of or asks of others fails the test."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("request", lambda asked: complaints.append(asked.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(f"{desk.url}#{key}")
    yield page
    page.close()
    ours = (desk.url, "Failed to load resource: the server responded with a status of 401")
    assert not [complaint for complaint in complaints if not complaint.startswith(ours)]
    assert not [complaint for complaint in complaints if KEY in complaint], "the key stands in no address"


def _at(page: Any, counts: str) -> None:
    page.locator("#counts", has_text=counts).wait_for()


def test_mouse_keyboard_and_undo(browser: Any, desk: Desk) -> None:
    with _opened(browser, desk) as page:
        _at(page, "0 labelled, 3 left")
        first = page.locator("#text").inner_text()
        assert first in TEXTS.texts, "texts are shown as they are"
        names = page.locator("#choices button span").all_inner_texts()
        assert tuple(names) == LABELS
        page.get_by_role("button", name="sports").click()
        _at(page, "1 labelled, 2 left")
        page.keyboard.press("1")
        _at(page, "2 labelled, 1 left")
        assert [answer["label"] for answer in desk.answers] == ["sports", "politics"]
        page.keyboard.press("u")
        _at(page, "1 labelled, 2 left")
        page.get_by_role("button", name="Undo").click()
        _at(page, "0 labelled, 3 left")
        assert page.locator("#text").inner_text() == first
        assert page.get_by_role("button", name="Undo").is_disabled()
        page.keyboard.press("s")
        _at(page, "0 labelled, 2 left, 1 skipped")
        for number in (1, 2):
            page.keyboard.press("3")
            _at(page, f"{number} labelled")
        assert "Nothing is left" in page.locator("#text").inner_text()
        assert page.locator("#choices button").count() == 0
        assert [answer["label"] for answer in desk.answers] == ["<b>weather</b>"] * 2


def test_several_labels_are_chosen_and_sent(browser: Any, tmp_path: Path) -> None:
    with _serving(tmp_path / "several.jsonl", several=True) as desk, _opened(browser, desk) as page:
        _at(page, "0 labelled")
        page.keyboard.press("1")
        page.get_by_role("button", name="sports").click()
        assert page.locator('#choices [aria-pressed="true"]').count() == 2
        page.get_by_role("button", name="Done").click()
        _at(page, "1 labelled")
        page.keyboard.press("Enter")
        _at(page, "2 labelled")
        assert [answer["labels"] for answer in desk.answers] == [["politics", "sports"], []]


def test_without_the_key_it_says_what_to_do(browser: Any, desk: Desk) -> None:
    with _opened(browser, desk, key="") as page:
        page.wait_for_selector("#fault p")
        assert "Open the whole address" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(browser: Any, desk: Desk, width: int) -> None:
    with _opened(browser, desk) as page:
        page.set_viewport_size({"width": width, "height": 800})
        _at(page, "0 labelled")
        assert page.evaluate("document.documentElement.scrollWidth") == width
