"""The model card: front matter that the hub reads, Markdown that no label can break."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.evaluation.conftest import MakeReport
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.types import Cost, Report
from tunesmith.recipe import Recipe
from tunesmith.task import Task

NASTY = (
    "a | b",
    "<script>x</script>",
    "`code` *bold* [link](http://x)",
    "line\nbreak",
    "--- : {yaml}: [1",
    "# h",
)


def card_of(report: Report, name: str = "news", **recipe: Any) -> str:
    return as_model_card(report, task=Task(labels=report.labels), recipe=Recipe(**recipe), name=name)


def front_matter(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    values = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(values, dict)
    return values


def test_the_front_matter_says_what_the_hub_asks(make_report: MakeReport) -> None:
    report = make_report()
    values = front_matter(card_of(report, base="openai-community/gpt2"))
    assert values["pipeline_tag"] == "text-classification"
    assert values["library_name"] == "transformers"
    assert values["base_model"] == "openai-community/gpt2"
    assert "language" not in values
    result = values["model-index"][0]["results"][0]
    assert result["task"]["type"] == "text-classification"
    accuracy = next(one for one in result["metrics"] if one["type"] == "accuracy")
    assert accuracy["value"] == pytest.approx(report.metrics["accuracy"], abs=1e-4)


def test_the_hubs_own_reader_understands_it(make_report: MakeReport) -> None:
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCard(card_of(make_report(labels=NASTY), name="a: b # c\n---\nd")).data
    assert isinstance(data, ModelCardData)
    assert data.model_name == "a: b # c --- d"
    assert {one.metric_name for one in data.eval_results or ()} >= {"Accuracy", "Macro-F1"}


@pytest.mark.parametrize("base", ["embedded", "./gpt2", "/models/gpt2", "a/b/c", "a base: x", "~/gpt2"])
def test_only_a_hub_name_is_named_as_base(make_report: MakeReport, base: str) -> None:
    assert "base_model" not in front_matter(card_of(make_report(), base=base))


def test_a_directory_is_no_hub_name(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "gpt2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "base_model" not in front_matter(card_of(make_report(), base="models/gpt2"))


def test_it_has_all_its_sections(make_report: MakeReport) -> None:
    report = make_report()
    card = card_of(report, max_tokens=256)
    headings = re.findall(r"^## (\w+ ?\w*)", card, flags=re.MULTILINE)
    assert headings == [
        "What it",
        "Labels",
        "How it",
        "Data",
        "Training recipe",
        "Limits",
        "How to",
    ]
    for said in (report.verdict.headline, "TF-IDF + LR", "**this model**", "max_length=256", "256 tokens"):
        assert said in card
    assert "| `max_tokens` | 256 |" in card
    assert "| split | said so |" in card


def test_no_label_breaks_the_tables(make_report: MakeReport) -> None:
    card = card_of(make_report(labels=NASTY, provenance={"<b>k</b>": "a | b\n## fake"}))
    assert "<script>" not in card
    assert "<b>" not in card
    assert "\n## fake" not in card
    for table in re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    assert r"a \| b" in card
    assert r"\`code\` \*bold\* \[link\](http://x)" in card
    assert "line break" in card


def test_no_test_text_is_published(make_report: MakeReport) -> None:
    report = make_report(text="a secret text")
    assert report.mistakes
    assert "a secret text" not in card_of(report)


def test_weak_and_absent_labels_are_limits(make_report: MakeReport) -> None:
    card = card_of(make_report(labels=tuple("abcdefgh"), rows=6, skill=0.1))
    assert "It is weakest on " in card
    assert "no test row has that label" in card
    strong = card_of(make_report(skill=99.0))
    assert "It is weakest on " not in strong


def test_many_labels_are_cut_and_it_says_so(make_report: MakeReport) -> None:
    card = card_of(make_report(labels=tuple(f"label {index}" for index in range(130)), rows=400))
    assert "30 more labels are in `report.json`." in card


def test_without_rivals_and_training(make_report: MakeReport) -> None:
    card = card_of(make_report(rivals=(), curves=(), cost=Cost(None, 2.0)))
    assert "| **this model** |" in card
    assert "Not compared with any rival" in card
