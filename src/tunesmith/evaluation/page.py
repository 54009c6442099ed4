"""What pages of every kind of report share: how a template becomes a page, and what its tables hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from tunesmith.evaluation.bars import label_bar
from tunesmith.evaluation.types import Report, RivalScore
from tunesmith.evaluation.wording import (
    Score,
    chance,
    clip,
    duration,
    memory,
    milliseconds,
    plain,
    score,
    signed,
    size,
    span,
    weakest,
)

__all__ = ["label_rows", "render_page", "strongest", "style_sheet"]

_WEAKEST_FIRST = 20


def render_page(template: str, report: object, title: str, values: Mapping[str, Any]) -> str:
    """The page that a template makes of a report; every text that is no Markup is escaped."""
    page = _environment().get_template(template)
    return str(page.render(report=report, title=plain(title), **values))


def style_sheet() -> str:
    """The style of a report on labels, for those who give it apart from the page."""
    return str(_environment().get_template("report.css.jinja").render())


@cache
def _environment() -> Any:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("tunesmith.evaluation"), PackageLoader("tunesmith.audit")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "chance": chance,
        "clip": clip,
        "duration": duration,
        "memory": memory,
        "label_bar": label_bar,
        "milliseconds": milliseconds,
        "plain": plain,
        "score": score,
        "signed": signed,
        "size": size,
        "span": span,
    }
    return environment


def label_rows(report: Report) -> dict[str, Any]:
    """The rows of the table of labels: in their order, or where they are many, the weakest first."""
    many = len(report.labels) > _WEAKEST_FIRST
    return {"many_labels": many, "per_label": weakest(report.per_label) if many else report.per_label}


def strongest(report: Report, by: Score) -> RivalScore | None:
    """The rival with the best score among those that have it."""
    scored = [rival for rival in report.rivals if by.key in rival.metrics]
    # of scores without an upper end, less is better
    return (max if by.top else min)(scored, key=lambda rival: rival.metrics[by.key], default=None)
