"""Measured tables in the documentation, between markers that name them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT", "write_table"]

ROOT = Path(__file__).parents[1]


def write_table(page: str, name: str, table: str) -> None:
    """Put `table` between the markers of `name` on a page of the repository."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    path = ROOT / page
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} has no place for {name}"
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")
