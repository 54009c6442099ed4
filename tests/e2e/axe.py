"""What keeps people out of a page, as axe-core finds it."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.waiting import until

__all__ = ["Looks"]


class Looks:
    """The states of a page that were looked at, narrow and wide, and the grave faults of each.

    Dark, only the colours are others.
    """

    def __init__(self, scheme: str = "light") -> None:
        rules = ["color-contrast", "link-in-text-block"] if scheme == "dark" else None
        self._options: dict[str, Any] = {"runOnly": rules} if rules else {}
        self._found: dict[str, list[tuple[str, Any]]] = {}

    def look(self, page: Any, state: str) -> None:
        """Look at a page; it must not be wider than its window."""
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            # a page that has just been opened is laid out anew a moment later
            until(partial(_is_wide, page, width), f"{state}, laid out {width} px wide,")
            self._found[f"{state}, {width}"] = self._faults(page)

    @property
    def faults(self) -> dict[str, list[tuple[str, Any]]]:
        """The states that have any."""
        return {state: faults for state, faults in self._found.items() if faults}

    def _faults(self, page: Any) -> list[tuple[str, Any]]:
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(page, options=self._options).response["violations"]
        return [
            (fault["id"], [node["target"] for node in fault["nodes"]])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]


def _is_wide(page: Any, width: int) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth") == width)
