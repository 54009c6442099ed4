"""The report of a model that no test rows have judged, and its page, card and lines: all say just that."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType

from tunesmith.evaluation.card_parts import data_table, markdown, recipe_table, what_it_does
from tunesmith.evaluation.curves import loss_curve
from tunesmith.evaluation.page import render_page
from tunesmith.evaluation.terminal_parts import verdict
from tunesmith.evaluation.types import Cost, Report, Verdict
from tunesmith.recipe import Recipe
from tunesmith.task import Task
from tunesmith.training.state import Fitted

__all__ = ["unmeasured", "unmeasured_as_card", "unmeasured_as_html", "unmeasured_as_terminal"]

_HEADLINE = "Nothing was measured"
_NO_TEST = "All rows were trained on, and none was kept for a test: how good the model is, nobody knows."


def unmeasured(task: Task, fitted: Fitted, provenance: Mapping[str, str], why: str = _NO_TEST) -> Report:
    """A report of 0 rows, without a score; its verdict says so and why, and the task's bar is not reached."""
    verdict = Verdict(_HEADLINE, (why,), beats=())
    if task.bar is not None:
        verdict = Verdict(f"NO-GO ({_HEADLINE.lower()})", (why,), (), go=False)
    return Report(
        labels=task.labels,
        rows=0,
        metrics={},
        intervals={},
        per_label=(),
        confusion=(),
        calibration=None,
        rivals=(),
        mistakes=(),
        verdict=verdict,
        cost=Cost(fitted.seconds, 0.0, fitted.peak_memory_bytes),
        provenance=dict(provenance),
        curves=tuple(dict(row) for row in fitted.history),
        kind=task.kind,
    )


def unmeasured_as_html(report: Report, title: str) -> str:
    """The page: the verdict, the loss while training, and where everything comes from."""
    curve = loss_curve(report.curves)
    return render_page("unmeasured.html.jinja", report, title, {"curves": [curve] if curve else []})


def unmeasured_as_card(report: Report, *, recipe: Recipe, name: str) -> str:
    """The README.md of the model."""
    what = "It was fine-tuned; the recipe says how."
    parts = (f"# {markdown(name)}", what_it_does(report, what), data_table(report), recipe_table(recipe))
    return "---\nlibrary_name: transformers\ntags:\n- tunesmith\n---\n\n" + "\n\n".join(parts) + "\n"


def unmeasured_as_terminal(report: Report) -> RenderableType:
    """The verdict."""
    return verdict(report)
