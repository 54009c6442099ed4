"""What model cards of every kind are made of: front matter and Markdown that no text can break."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import Score, plain
from tunesmith.recipe import Recipe

__all__ = ["data_table", "front_matter", "markdown", "markdown_table", "recipe_table", "what_it_does"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
# what the hub calls the kinds of a score
_HUB_TYPES = ("accuracy", "f1", "precision", "recall", "exact_match", "perplexity", "rouge")


def front_matter(report: Report, recipe: Recipe, name: str, pipeline: str, scores: Sequence[Score]) -> str:
    """What the hub reads: the pipeline that opens the model, its base and its scores."""
    values: dict[str, Any] = {
        "pipeline_tag": pipeline,
        "library_name": "transformers",
        "tags": [pipeline, "tunesmith"],
    }
    if _is_hub_name(recipe.base):
        values["base_model"] = recipe.base
    values["model-index"] = [{"name": plain(name), "results": [_result(report, pipeline, scores)]}]
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000))


def _is_hub_name(base: str) -> bool:
    # a hub name and a relative directory look alike; only the disk can tell them apart
    return base != "embedded" and bool(_HUB_NAME.fullmatch(base)) and not Path(base).exists()


def _result(report: Report, pipeline: str, scores: Sequence[Score]) -> dict[str, Any]:
    metrics = [
        {"type": _hub_type(each.key), "value": round(report.metrics[each.key], 4), "name": each.title}
        for each in scores
    ]
    return {
        "task": {"type": pipeline, "name": pipeline.replace("-", " ").capitalize()},
        "dataset": {"type": "custom", "name": f"{report.rows} held-out test rows", "split": "test"},
        "metrics": metrics,
    }


def _hub_type(key: str) -> str:
    return next((kind for kind in _HUB_TYPES if key.startswith(kind) or key.endswith(kind)), key)


def markdown(text: str) -> str:
    """`text` on one line, with nothing left in it that Markdown or HTML would act on."""
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", shown)


def markdown_table(heading: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table under a heading; the cells must be Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
    return f"{heading}\n\n" + "\n".join(lines)


def what_it_does(report: Report, what: str) -> str:
    """What the model is for, in a sentence, and the verdict."""
    sentences = [f"- {markdown(sentence)}" for sentence in report.verdict.sentences]
    return "\n".join(
        ["## What it does", "", what, "", f"**{markdown(report.verdict.headline)}.**", "", *sentences]
    )


def data_table(report: Report) -> str:
    """Where everything comes from."""
    facts = [(markdown(name.replace("_", " ")), markdown(value)) for name, value in report.provenance.items()]
    return markdown_table("## Data", ("What", "Value"), facts)


def recipe_table(recipe: Recipe) -> str:
    """What ran."""
    values = recipe.model_dump(mode="json")
    rows = [(f"`{key}`", "–" if value is None else markdown(str(value))) for key, value in values.items()]
    return markdown_table("## Training recipe", ("Setting", "Value"), rows)
