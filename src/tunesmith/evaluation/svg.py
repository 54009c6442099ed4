"""SVG from plain values: elements, scales and axes; colours are classes that the page's style defines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Scale", "axes", "circle", "element", "figure", "line", "polyline", "rect", "text", "ticks"]

Attribute = str | float


def element(name: str, *children: str, **attributes: Attribute) -> Markup:
    """One element; children that are not Markup are escaped. `class_` is class, `_` in a name is `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()
    )
    # every part is escaped here or was before
    return Markup(f"<{name}{written}>{_join(children)}</{name}>")  # noqa: S704


def _value(value: Attribute) -> Markup:
    return escape(value if isinstance(value, str) else f"{round(value, 2):g}")


def _join(children: Iterable[str]) -> Markup:
    return Markup("").join(children)


def figure(
    name: str, title: str, description: str, size: tuple[float, float], *children: str, class_: str = "chart"
) -> Markup:
    """A whole chart that screen readers announce; `name` must be unique on the page."""
    width, height = size
    attributes: dict[str, Attribute] = {
        "class": class_,
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": width,
        "height": height,
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    head = (element("title", title, id=f"{name}-title"), element("desc", description, id=f"{name}-desc"))
    return element("svg", *head, *children, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A rectangle with slightly rounded corners; a negative size is drawn as none."""
    return element("rect", x=x, y=y, width=max(0, width), height=max(0, height), rx=2, class_=class_)


def circle(x: float, y: float, radius: float, class_: str) -> Markup:
    """A disc."""
    return element("circle", cx=x, cy=y, r=radius, class_=class_)


def text(x: float, y: float, said: str, class_: str, **attributes: Attribute) -> Markup:
    """Words whose base line starts at (x, y), unless `text_anchor` says otherwise."""
    return element("text", said, x=x, y=y, class_=class_, **attributes)


def polyline(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through points."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from low to high -> places from start to end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of `value`."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most` of them."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def axes(across: Scale, up: Scale, across_ticks: Sequence[float], up_ticks: Sequence[float]) -> Markup:
    """Faint rules with their numbers at the left, and numbers below."""
    rules = [line(across.start, up(value), across.end, up(value), "grid") for value in up_ticks]
    left = [
        text(across.start - 7, up(value) + 4, f"{value:g}", "tick", text_anchor="end") for value in up_ticks
    ]
    below = [
        text(across(value), up.start + 17, f"{value:g}", "tick", text_anchor="middle")
        for value in across_ticks
    ]
    return _join([*rules, *left, *below])
