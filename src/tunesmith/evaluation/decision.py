"""A report beside a bar: GO or NO-GO, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tunesmith.bar import METRICS, Bar
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import listed, milliseconds

__all__ = ["decided"]

Reason = tuple[bool, str]


def decided(report: Report, bar: Bar | None) -> Report:
    """The report with GO or NO-GO before its verdict, and a sentence for each thing that the bar asks."""
    if bar is None:
        return report
    reasons = [*_metrics(report, bar), *_rivals(report, bar), *_speed(report, bar)]
    go = all(reached for reached, _ in reasons)
    said = tuple(f"{'Reached' if reached else 'Not reached'}: {reason}" for reached, reason in reasons)
    old = report.verdict
    headline = f"{'GO' if go else 'NO-GO'} ({old.headline[0].lower()}{old.headline[1:]})"
    return replace(report, verdict=replace(old, headline=headline, sentences=(*said, *old.sentences), go=go))


def _metrics(report: Report, bar: Bar) -> Iterator[Reason]:
    for name in METRICS:
        least = getattr(bar, name)
        if least is None:
            continue
        value, interval = report.metrics.get(name), report.intervals.get(name)
        if value is None:
            yield False, f"{name} was not measured for this kind of task."
            continue
        chance = f", 95 % interval {interval.low:.4g} to {interval.high:.4g}" if interval else ""
        yield value >= least, f"{name} {value:.4g}{chance}; the bar is {least:g}."


def _rivals(report: Report, bar: Bar) -> Iterator[Reason]:
    for asked in bar.beats:
        names = [rival.name for rival in report.rivals if _plain(rival.name).startswith(_plain(asked))]
        left_out = [rival for rival in report.not_run if _plain(rival.name).startswith(_plain(asked))]
        for rival in left_out:
            yield False, f"{rival.name} was not run: {rival.why}."
        if not names and not left_out:
            yield False, _unknown(asked, report)
        for name in names:
            beaten = name in report.verdict.beats
            yield beaten, f"{'better than' if beaten else 'not certainly better than'} {name}."


def _unknown(asked: str, report: Report) -> str:
    compared = [rival.name for rival in report.rivals]
    if not compared:
        return f"{asked} was not compared with: there was no training data for rivals."
    return f"{asked} was not compared with: the rivals were {listed(compared)}."


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _speed(report: Report, bar: Bar) -> Iterator[Reason]:
    if bar.max_ms is not None:
        took = report.cost.milliseconds_per_text
        yield took <= bar.max_ms, f"{milliseconds(took)} ms a text; the bar is {milliseconds(bar.max_ms)} ms."
