"""A report's JSON -> the page of it that callers may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunesmith.api.about import base_name
from tunesmith.api.refusal import Refusal
from tunesmith.errors import UserError

__all__ = ["page_of"]


def page_of(read: Callable[[], object] | None, model: str, style_url: str) -> str:
    """The page, without a text or a path of the data; blocks. Raises Refusal `no-report`."""
    from tunesmith.evaluation.html import as_shared_html
    from tunesmith.evaluation.types import Report

    if read is None:
        raise Refusal("no-report", "nothing is known of an evaluation of this model")
    try:
        report = Report.from_dict(read())
    except UserError:
        message = "the report of this model cannot be read; it may be from another version"
        raise Refusal("no-report", message) from None
    told = report.provenance
    if "base" in told:
        told = told | {"base": base_name(told["base"])}
    return as_shared_html(replace(report, provenance=told), model, style_url)
