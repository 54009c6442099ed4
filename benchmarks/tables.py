"""Measured tables in the documentation, between markers that name them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

__all__ = ["ROOT", "measure_each", "write_table"]

ROOT = Path(__file__).parents[1]


def write_table(page: str, name: str, table: str) -> None:
    """Put `table` between the markers of `name` on a page of the repository."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    path = ROOT / page
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} has no place for {name}"
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


def measure_each(
    names: Iterable[str],
    known: Mapping[str, str],
    measure: Callable[[str], dict[str, Any]],
    results: Path,
) -> dict[str, Any]:
    """Measure data sets of those that are `known`, saved after each; all that is saved, in their order."""
    saved: dict[str, Any] = (
        json.loads(results.read_text(encoding="utf-8")) if results.exists() else {"data": {}}
    )
    saved["machine"] = machine()
    for name in names:
        saved["data"][name] = measure(name)
        saved["data"] = {key: saved["data"][key] for key in known if key in saved["data"]}
        results.write_text(json.dumps(saved, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return saved
