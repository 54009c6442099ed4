"""Charts of a search: how the best grew, which keys matter, and every trial across all keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, axes, circle, element, figure, line, polyline, rect, text, ticks
from tunesmith.evaluation.wording import score
from tunesmith.tuning.space import Dimension
from tunesmith.tuning.types import TrialRecord, said

__all__ = ["history_chart", "importance_bars", "parallel_coordinates"]

_SIZE = (310, 230)
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 302, 30, 190
_ROW, _NAME_WIDTH, _BAR_RIGHT, _BARS_WIDTH = 26, 132, 262, 310
_AXIS_GAP, _SIDE, _AXIS_TOP, _AXIS_BOTTOM = 114, 58, 46, 236
_SHADES = 5


def history_chart(trials: Sequence[TrialRecord], default: float) -> Markup | None:
    """Every trial's score in the order of trials, the best so far, and the defaults; None of no trial."""
    scored = sorted((trial.number, trial.score, trial.state) for trial in trials if trial.score is not None)
    complete = [(number, value) for number, value, state in scored if state == "complete"]
    if not complete:
        return None
    values = [value for _, value, _ in scored]
    low, high = _padded(min(values), max(values))
    across = Scale(-0.5, max(number for number, *_ in scored) + 0.5, _LEFT, _RIGHT)
    up = Scale(low, high, _BOTTOM, _TOP)
    whole = [tick for tick in ticks(0, max(across.high, 1), 6) if tick == int(tick)]
    dots = [
        _dot(number, value, across(number), up(value), "quiet" if state == "pruned" else "dot validation")
        for number, value, state in scored
    ]
    best = list(accumulate((value for _, value in complete), max))
    steps = _steps([(across(number), up(value)) for (number, _), value in zip(complete, best, strict=True)])
    said = f"From {score(complete[0][1])} to {score(best[-1])}; the defaults score {score(default)}."
    return figure(
        "history",
        "Validation score of every trial",
        said,
        _SIZE,
        axes(across, up, whole, ticks(low, high, most=4)),
        line(across.start, up(default), across.end, up(default), "diagonal"),
        polyline(steps, "curve validation"),
        *dots,
        text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, "trial", "tick", text_anchor="middle"),
        text(_LEFT, 14, "best so far; grey: pruned; dotted: the defaults", "word"),
    )


def _dot(number: int, value: float, x: float, y: float, class_: str) -> Markup:
    return element("g", element("title", f"trial {number}: {score(value)}"), circle(x, y, 3, class_))


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points with a corner before each: what is best stays so until the next."""
    found = list(points[:1])
    for (_, before), (x, y) in pairwise(points):
        found += [(x, before), (x, y)]
    return found


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.08 * (high - low) or 0.01
    return low - room, high + room


def importance_bars(shares: Mapping[str, float]) -> Markup:
    """How much of the variance each key explains, as bars."""
    across = Scale(0, max(*shares.values(), 1e-9), _NAME_WIDTH, _BAR_RIGHT)
    rows = []
    for index, (name, share) in enumerate(shares.items()):
        top = index * _ROW
        rows += [
            text(0, top + 17, name, "word"),
            rect(across(0), top + 6, across(share) - across(0), _ROW - 12, "bar"),
            text(across(share) + 8, top + 17, f"{100 * share:.0f} %", "word"),
        ]
    said = " ".join(f"{name}: {100 * share:.0f} %." for name, share in shares.items())
    return figure(
        "importance", "Importance of the keys", said, (_BARS_WIDTH, max(1, len(shares)) * _ROW), *rows
    )


def parallel_coordinates(trials: Sequence[TrialRecord], space: Sequence[Dimension]) -> Markup | None:
    """A line a trial across an axis a key, the best in the strongest colour; None where nothing is searched.

    A key that the method of a trial does not read has no point: its line passes by.
    """
    scored = sorted(
        (trial for trial in trials if trial.score is not None and trial.params),
        key=lambda trial: trial.score or 0.0,
    )
    if not scored or not space:
        return None
    values = [trial.score or 0.0 for trial in scored]
    up = Scale(*_padded(values[0], values[-1]), _AXIS_BOTTOM, _AXIS_TOP)
    scales = [_heights(each, scored) for each in space]
    lines = [
        _across(trial, space, scales, up, _shade(index, len(scored))) for index, trial in enumerate(scored)
    ]
    names = [*(each.name for each in space), "score"]
    ends = [*(_ends(each) for each in space), (score(up.low), score(up.high))]
    width = _place(len(space)) + _SIDE
    said = f"{len(scored)} trials over {len(space)} keys; the best scored {score(values[-1])}."
    frame = [
        _axis(index, name, low, high)
        for index, (name, (low, high)) in enumerate(zip(names, ends, strict=True))
    ]
    # the best are drawn last, over the others
    return figure(
        "parallel", "Every trial", said, (width, _AXIS_BOTTOM + 30), *lines, *frame, class_="chart fixed"
    )


def _place(index: int) -> float:
    return _SIDE + index * _AXIS_GAP


def _shade(rank: int, count: int) -> int:
    return 1 + min(_SHADES - 1, int(_SHADES * (rank + 1) / count) if rank + 1 < count else _SHADES - 1)


def _axis(index: int, name: str, low: str, high: str) -> Markup:
    x = _place(index)
    return element(
        "g",
        line(x, _AXIS_TOP, x, _AXIS_BOTTOM, "axis"),
        text(x, 14, name, "word strong", text_anchor="middle"),
        text(x, _AXIS_TOP - 8, high, "tick", text_anchor="middle"),
        text(x, _AXIS_BOTTOM + 16, low, "tick", text_anchor="middle"),
    )


def _across(
    trial: TrialRecord, space: Sequence[Dimension], scales: Sequence[Scale], up: Scale, shade: int
) -> Markup:
    points = [
        (_place(index), scales[index](_height(each, trial.params[each.name])))
        for index, each in enumerate(space)
        if each.name in trial.params
    ]
    points.append((_place(len(space)), up(trial.score or 0.0)))
    told = ", ".join(f"{name} {said(value)}" for name, value in trial.params.items())
    title = element("title", f"trial {trial.number}: {score(trial.score or 0.0)}; {told}")
    kind = " defaults" if trial.defaults else ""
    return element("g", title, polyline(points, f"way w{shade}{kind}"))


def _height(dimension: Dimension, value: object) -> float:
    if dimension.choices:
        return float(dimension.choices.index(value)) if value in dimension.choices else 0.0
    number = float(str(value))
    return math.log10(max(number, 1e-12)) if dimension.log else number


def _heights(dimension: Dimension, trials: Sequence[TrialRecord]) -> Scale:
    if dimension.choices:
        low, high = 0.0, float(max(1, len(dimension.choices) - 1))
    else:
        within = [dimension.low, dimension.high]
        within += [float(trial.params[dimension.name]) for trial in trials if dimension.name in trial.params]
        low, high = _height(dimension, min(within)), _height(dimension, max(within))
    return Scale(low, high if high > low else low + 1, _AXIS_BOTTOM, _AXIS_TOP)


def _ends(dimension: Dimension) -> tuple[str, str]:
    if dimension.choices:
        return str(dimension.choices[0]), str(dimension.choices[-1])
    return said(dimension.low), said(dimension.high)
