"""The report's page in a real browser: nothing is wider than the window, and groups open without a script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.evaluation.conftest import MakeReport, make_report
from tests.unit.evaluation.understanding.test_shown import understood
from tunesmith.evaluation.html import as_html

__all__ = ["make_report"]

LABELS = ("business", "a-label-with-a-very-long-name-that-has-no-spaces-at-all", "world")


@pytest.fixture
def path(tmp_path: Path, make_report: MakeReport) -> Path:
    report = make_report(labels=LABELS, rows=200, text="https://example.org/" + "long" * 40)
    page = tmp_path / "report.html"
    page.write_text(as_html(replace(report, understanding=understood(report, LABELS, 200)), "t"), "utf-8")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_its_window_and_opens(browser: Any, path: Path, scheme: Any) -> None:
    context = browser.new_context(java_script_enabled=True, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("request", lambda asked: complaints.append(asked.url))
    page.goto(path.as_uri())
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    closed = page.locator(".groups details:not([open])").first
    text = closed.locator("p").first
    assert not text.is_visible()
    closed.locator("summary").click()
    assert page.locator(".groups details[open]").count() == 2
    assert complaints == [path.as_uri()]
    context.close()
