"""The studio in a real browser: files come and are checked, a job is watched, models answer side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.axe import Looks
from tests.e2e.studio_stage import SLY, STEPS, Stage, staged
from tests.studio import chat_line
from tests.unit.evaluation.conftest import MakeReport, make_report
from tunesmith.api.keys import add_key

__all__ = ["make_report"]

LABELS = ("billing", SLY, "travel")
FILE = "<i>train.jsonl"


def write_lines(path: Path, answers: Sequence[str] = LABELS, rows: int = 30) -> Path:
    said = [chat_line(f"question {at}", answers[at % len(answers)]) for at in range(rows)]
    path.write_text("".join(json.dumps(each) + "\n" for each in said), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture
def report(make_report: MakeReport) -> dict[str, Any]:
    found: dict[str, Any] = make_report(labels=LABELS, rows=60).to_dict()
    return found


@pytest.fixture
def page(browser: Any, stage: Stage) -> Iterator[Any]:
    opened = browser.new_page()
    opened.set_default_timeout(9000)
    complaints: list[str] = []
    opened.on("request", lambda asked: complaints.append(asked.url))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text))
    opened.goto(stage.url)
    opened.wait_for_selector("#model-list .thing")
    yield opened
    opened.close()
    ours = (stage.url, "blob:", "Failed to load resource: the server responded with a status of 400")
    assert not [complaint for complaint in complaints if not complaint.startswith(ours)]


def bring(page: Any, path: Path) -> None:
    page.locator("#file").set_input_files(path)
    page.wait_for_selector("#check .teaches, #check .fault:not(:empty)")


def start_job(page: Any, suffix: str) -> None:
    page.get_by_label("Name", exact=True).fill(suffix)
    with page.expect_response(lambda answer: answer.request.method == "POST") as made:
        page.get_by_role("button", name="Start the job").click()
    page.wait_for_selector(f"#job h3:text('{made.value.json()['id']}')")


def test_a_file_comes_is_checked_and_goes(page: Any, tmp_path: Path) -> None:
    bring(page, write_lines(tmp_path / FILE))
    check = page.locator("#check")
    assert check.locator("h3").inner_text() == FILE
    assert check.locator(".teaches").inner_text() == "Teaches to choose one of 3 labels"
    assert check.locator(".bars .name").all_inner_texts() == [SLY, "billing", "travel"]
    assert check.locator(".bars .share").all_inner_texts() == ["10", "10", "10"]
    assert check.locator(".figures dt").all_inner_texts() == [
        *("Examples", "Tokens of an example", "Characters of an example")
    ]
    assert check.locator(".verdict-line").inner_text().startswith("Ready")
    page.get_by_role("button", name=f"Delete {FILE}").first.click()
    page.get_by_role("button", name="Keep it").click()
    assert page.locator("#files .name").first.inner_text() == FILE
    page.get_by_role("button", name=f"Delete {FILE}").first.click()
    page.get_by_role("button", name="Delete the file").click()
    page.wait_for_selector("#check", state="hidden")
    page.wait_for_selector("#files .none")


def test_bad_lines_are_told_and_a_job_refused_names_its_field(page: Any, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bad.jsonl", ["an answer"], rows=4)
    path.write_text(path.read_text() + '{"messages": []}\nnot JSON\n')
    bring(page, path)
    assert page.locator("#check .lines b").all_inner_texts() == ["Line 5", "Line 6"]
    assert "2 lines cannot be learned from" in page.locator("#check .verdict-line").inner_text()
    page.get_by_label("Name", exact=True).fill("no spaces please")
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_selector("#make-fault:has-text('suffix')")
    assert page.evaluate("document.activeElement.id") == "suffix"


def test_a_job_is_watched_steered_and_its_model_answers(
    page: Any, stage: Stage, report: dict[str, Any], tmp_path: Path
) -> None:
    bring(page, write_lines(tmp_path / FILE))
    page.get_by_label("Training file").select_option(label=FILE)
    start_job(page, "tickets")
    claim = stage.claim()
    stage.step(claim, 1, 5)
    page.wait_for_selector("#job .curve")
    page.wait_for_selector("#job .state:text('running')")
    assert "Training loss: 2 at step 1, 0.4 at step 5; Validation loss" in str(
        page.locator("#job .curve").get_attribute("aria-label")
    )
    page.get_by_role("button", name="Pause the job").click()
    page.wait_for_selector("#job .numbers:has-text('Time left')")
    stage.heed(claim)
    page.wait_for_selector("#job .state:text('paused')")
    page.get_by_role("button", name="Resume the job").click()
    page.wait_for_selector("#job .state:text('queued')")
    again = stage.store.queue.claim_to_train("another worker")
    assert again is not None
    stage.step(again, 4, STEPS)
    name = stage.finish(again, report)
    page.wait_for_selector("#job .outcome table")
    assert page.locator("#job .log li").first.inner_text().endswith(name)
    assert page.locator("#job .outcome tbody tr.ours th").inner_text() == "this model"
    confusions = page.get_by_label("Confusions: each row is a label, each column an answer")
    assert confusions.locator("tbody th").all_inner_texts() == list(LABELS)
    with page.expect_download() as downloading:
        page.locator("#job").get_by_role("button", name="Download classification_results.json").click()
    assert json.loads(Path(downloading.value.path()).read_text())["rows"] == 60

    page.locator("#job").get_by_role("button", name=f"Try {name}").first.click()
    assert [page.locator(f"#{side}").input_value() for side in ("left", "right")] == ["embedded", name]
    page.get_by_label("Message").fill("<u>where</u> is it?")
    page.get_by_label("Message").press("Control+Enter")
    page.wait_for_selector("#said-right .verdict")
    page.wait_for_selector("#said-left .note:has-text('Answered')")
    assert page.locator("#said-left .words").inner_text() == "You said <u>where</u> is it?."
    assert page.locator("#said-right .verdict b").inner_text() == SLY
    assert page.locator("#said-right .share").all_inner_texts() == ["75.0 %", "25.0 %"]
    page.locator("#models").get_by_role("button", name=f"Delete {name}").click()
    page.get_by_role("button", name="Delete the model").click()
    page.locator("#models").get_by_text(name).wait_for(state="detached")


def test_with_a_key_all_of_it_comes_once_the_key_is_there(browser: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    news, sports = (add_key(keys, name, now=datetime.now(UTC), project=name) for name in ("news", "sports"))
    with staged(tmp_path, keys_file=keys) as stage:
        page = browser.new_page()
        page.goto(stage.url)
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.wait_for_selector("#key-fault:has-text('wrong-key')")
        assert not page.is_visible("#studio")
        page.get_by_label("API key").fill(news)
        page.get_by_label("API key").press("Enter")
        page.wait_for_selector("#key-list .thing")
        assert page.locator("#key-list .name").all_inner_texts() == ["news yours"]
        bring(page, write_lines(tmp_path / "a.jsonl"))
        start_job(page, "tickets")
        stage.step(stage.claim(), 1, 2)
        page.wait_for_selector("#job .curve")
        page.get_by_label("API key").fill(sports)
        page.get_by_label("API key").press("Enter")
        page.wait_for_selector("#files .none")
        assert page.locator("#job").is_hidden()
        assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
        page.close()


def test_without_javascript_it_says_what_to_do(browser: Any, stage: Stage) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(stage.url)
    assert "needs JavaScript" in plain.inner_text("main")
    assert f'base_url="{stage.url}/v1"' in plain.inner_text("#code")
    assert not plain.is_visible("#studio")
    plain.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_keeps_anyone_out(browser: Any, report: dict[str, Any], tmp_path: Path, scheme: Any) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, a dev dependency")
    looks = Looks(scheme)
    with staged(tmp_path) as stage:
        # changes of colour that are under way would be measured half-way
        page = browser.new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
        page.goto(stage.url)
        page.wait_for_selector("#model-list .thing")
        looks.look(page, "empty")
        bad = write_lines(tmp_path / "bad.jsonl", ["an answer"], rows=4)
        bad.write_text(bad.read_text() + "not JSON\n")
        bring(page, bad)
        looks.look(page, "bad file")
        bring(page, write_lines(tmp_path / "good.jsonl"))
        page.wait_for_selector("#check .bars")
        page.locator("#hyper summary").click()
        start_job(page, "tickets")
        claim = stage.claim()
        stage.step(claim, 1, 9)
        page.wait_for_selector("#job .curve")
        looks.look(page, "good file, hyperparameters, running")
        name = stage.finish(claim, report)
        page.wait_for_selector("#job .outcome table")
        page.locator("#models").get_by_role("button", name=f"Try {name}").click()
        page.get_by_label("Message").fill("where is it?")
        page.get_by_role("button", name="Send").click()
        page.wait_for_selector("#said-right .verdict")
        looks.look(page, "succeeded, answered")
        start_job(page, "again")
        stage.fail(stage.claim(), "The job failed due to an invalid training file.")
        page.wait_for_selector("#job .state:text('failed')")
        page.get_by_role("button", name=f"Delete {name}").click()
        looks.look(page, "failed, asked to delete")
        page.context.close()
    assert looks.faults == {}
