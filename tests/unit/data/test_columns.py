"""Further columns are found again for the rows of a dataset, whatever was left out and in whatever order."""

from __future__ import annotations

import json

import pytest

from tests.unit.data.conftest import Refused, Save
from tunesmith.data.columns import EMPTY, column_values
from tunesmith.data.read import read

TABLE = "text,label,site,year\none,a,north,2024\ntwo,b,,2025\n,a,gone,\nfour,b,south,2024\n"


def test_values_stand_beside_their_rows(save: Save) -> None:
    path = save("a.csv", TABLE)
    dataset = read(path)
    found = column_values(path, ["site", "year"], dataset)
    assert list(found["site"]) == ["north", EMPTY, "gone", "south"]
    assert list(found["year"]) == ["2024", "2025", EMPTY, "2024"]
    some = dataset.take([3, 0])
    assert list(column_values(path, ["site"], some)["site"]) == ["south", "north"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_cells_of_any_kind_are_values(save: Save, name: str) -> None:
    cells = ["x", 3, 3.0, True, None, ["x", "y"], {"x": 1}]
    rows = [{"text": f"text {at}", "label": "ab"[at % 2], "kind": cell} for at, cell in enumerate(cells)]
    lines = "\n".join(json.dumps(row) for row in rows)
    path = save(name, lines if name.endswith("l") else json.dumps(rows, indent=1))
    found = column_values(path, ["kind"], read(path))["kind"]
    assert list(found) == ["x", "3", "3", "true", EMPTY, "['x', 'y']", "{'x': 1}"]


def test_nothing_is_read_where_nothing_is_asked(save: Save) -> None:
    dataset = read(save("a.csv", TABLE))
    assert column_values("gone.csv", [], dataset) == {}


def test_columns_that_are_not_there_are_told_at_once(save: Save, refused: Refused) -> None:
    path = save("a.csv", TABLE)
    problem = refused(lambda: column_values(path, ["sites"], read(path)))
    assert problem.code == "no-column"
    assert 'did you mean "site"?' in problem.fix
