"""scripts/check_docs.py finds what it is there to find."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def check_docs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("check_docs")


@pytest.fixture
def generated_docs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("generated_docs")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "src").mkdir()
    return tmp_path


def _source(root: Path, text: str) -> Path:
    (root / "src/module.py").write_text(text, encoding="utf-8")
    return root / "src"


@pytest.mark.parametrize(
    "text",
    [
        "class Problem:\n    code: str\n    what: str\nProblem('x', 'w')",
        "class Problem:\n    code: str\nProblem(code='x')",
        "def refuse(where, code): ...\nrefuse(1, 'x')",
        "class Log:\n    def fault(self, code): ...\nlog.fault('x')",
        "class Fault(Exception):\n    def __init__(self, code): ...\nraise Fault('x')",
        "def refuse(code): ...\ncode, what = 'x', 'w'\nrefuse(code)",
        "code = 'x'",
    ],
)
def test_codes_are_found_however_they_are_given(check_docs: Any, root: Path, text: str) -> None:
    assert check_docs.error_codes(_source(root, text)) == ({"x"}, [])


def test_tests_that_a_page_names_must_be_there(check_docs: Any, root: Path) -> None:
    (root / "tests").mkdir()
    (root / "tests/test_a.py").write_text("async def test_there(): ...\n", encoding="utf-8")
    named = ["test_a.py::test_there", "test_a.py::test_gone", "test_b.py::test_there"]
    (root / "docs/page.md").write_text("".join(f"`tests/{each}`, " for each in named), encoding="utf-8")
    gone = [f"docs/page.md: there is no test tests/{each}" for each in named[1:]]
    assert list(check_docs.test_faults(root)) == gone


def test_a_code_that_cannot_be_told_is_a_complaint(check_docs: Any, root: Path) -> None:
    source = _source(root, "def refuse(code): ...\nrefuse(f'bad-{name}')")
    codes, unclear = check_docs.error_codes(source)
    assert codes == set()
    assert unclear == [f"{source}/module.py:2: write the error code as a literal here"]


def test_codes_and_headings_must_agree(check_docs: Any, root: Path) -> None:
    _source(root, "def refuse(code): ...\nrefuse('one')\nrefuse('two')")
    (root / "docs/errors.md").write_text("# Errors\n\n## two\n\n## old\n", encoding="utf-8")
    assert list(check_docs.code_faults(root)) == [
        "docs/errors.md: there is no heading for the error code one",
        "docs/errors.md: old is no error code of the source",
        "docs/errors.md: the headings are not in alphabetical order, each once",
    ]


def test_links_anchors_and_images_must_lead_somewhere(check_docs: Any, root: Path) -> None:
    (root / "README.md").write_text(
        "[ok](docs/a.md#two-words) [web](https://example.org) [gone](docs/b.md) [part](docs/a.md#three)\n"
        '![gone too](docs/c.png) <img src="docs/d.png">\n```sh\n[not](a-link)\n```\n',
        encoding="utf-8",
    )
    (root / "docs/a.md").write_text(
        "# Two `words`\n\n[up](../README.md) [here](#two-words)\n", encoding="utf-8"
    )
    gone = ["docs/b.md", "docs/a.md#three", "docs/c.png", "docs/d.png"]
    assert list(check_docs.link_faults(root)) == [f"README.md: {link} leads nowhere" for link in gone]


def test_a_generated_part_is_renewed_between_its_markers(generated_docs: Any) -> None:
    page = "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n"
    new = generated_docs.renewed(page, {"a": lambda: "new"})
    assert new == "before\n<!-- a:begin -->\n\nnew\n\n<!-- a:end -->\nafter\n"
    assert generated_docs.renewed(new, {"a": lambda: "new"}) == new


def test_missing_markers_are_told(generated_docs: Any) -> None:
    with pytest.raises(ValueError, match="'a' are missing"):
        generated_docs.renewed("nothing here\n", {"a": lambda: "new"})
