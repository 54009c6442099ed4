"""JSON and JSON Lines: every shape that is read, and every fault with its line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.formats.rows import MAX_RECORD_CHARS
from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog

from ..conftest import Refused, Save

ROWS = [{"text": "one", "label": "a"}, {"text": "zwei\n☃", "label": 2, "more": [1, {"x": None}]}]


def rows_of(path: Path, log: ReadLog | None = None) -> list[tuple[int, dict[str, object]]]:
    return [(row.line, row.values) for row in open_rows(path, log or ReadLog())]


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)), [1, 2]),
        ("a.ndjson", "\n\n".join(map(json.dumps, ROWS)) + "\r\n", [1, 3]),
        ("a.json", json.dumps(ROWS), [1, 1]),
        ("a.json", json.dumps(ROWS, indent=2), [2, 6]),
        ("a.json", json.dumps({"version": {"n": [1]}, "data": ROWS, "end": 1}, indent=1), [8, 12]),
        ("a.json", "\n".join(map(json.dumps, ROWS)), [1, 2]),
        ("a.jsonl", json.dumps(ROWS), [1, 1]),
        ("a.json.zst", json.dumps({"data": ROWS}), [1, 1]),
        ("a.jsonl.xz", "\n".join(map(json.dumps, ROWS)), [1, 2]),
    ],
)
def test_every_shape_is_read(save: Save, name: str, content: str, lines: list[int]) -> None:
    assert rows_of(save(name, content)) == list(zip(lines, ROWS, strict=True))


def test_a_byte_order_mark_is_no_part_of_the_json(save: Save) -> None:
    assert rows_of(save("a.json", json.dumps(ROWS).encode("utf-8-sig")))[0][1] == ROWS[0]
    assert rows_of(save("b.jsonl", json.dumps(ROWS[0]).encode("utf-16")))[0][1] == ROWS[0]


DEEP = "[" * 150 + "]" * 150


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ('{"text": "a"', "not JSON"),
        ('{"text": NaN}', "NaN"),
        ('{"text": -Infinity}', "-Infinity"),
        (f'{{"text": {DEEP}}}', "nested"),
        (f'{{"text": {"[" * 100_000}}}', "nested"),
        (f'{{"text": {"9" * 5000}}}', "100 digits"),
        (f'{{"text": -{"9" * 100}}}', "100 digits"),
        ('{"text": 1e999}', "too large"),
        ("[1, 2]", "a list"),
        ('"text"', "a text"),
        ("null", "null"),
        ("17", "a number"),
    ],
)
def test_a_bad_line_is_left_out_and_told(save: Save, bad: str, said: str) -> None:
    path = save("a.jsonl", f'{{"text": "a"}}\n{bad}\n{{"text": "b"}}\n')
    log = ReadLog()
    assert [line for line, _ in rows_of(path, log)] == [1, 3]
    (problem,) = log.problems
    assert (problem.code, problem.where) == ("bad-json", f"{path}:2")
    assert said in problem.what


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[{"text": "a"},\n{"text": "b"},\n{"text": "c" "label": 1}]', 3),
        ('[{"text": "a"},\n{"text": NaN}]', 2),
        ('[{"text": "a"},\n{"text": -1e999}]', 2),
        (f'[{{"text": "a"}},\n{{"text": {"9" * 101}}}]', 2),
        (f'[{{"text": "a"}},\n{{"text": {"[" * 100_000}]', 2),
        ('[{"text": "a"},\n\n{"text": "b"}', 3),
        ('[{"text": "a"},\n]', 2),
        ('[{"text": "a"}]\n[]', 2),
        ('{"data": [{"text": "a"}]', 1),
        ('{"rows":\n [{"text": "a"}]}', 2),
        ('{"data":\n {"text": "a"}}', 2),
        ('{"text" "a"}', 1),
        ('"text"', 1),
        ('[{"text": "a', 1),
    ],
)
def test_a_bad_document_is_refused_with_its_line(
    save: Save, refused: Refused, content: str, line: int
) -> None:
    path = save("a.json", content)
    problem = refused(lambda: rows_of(path))
    assert (problem.code, problem.where) == ("bad-json", f"{path}:{line}")


def test_items_that_are_no_rows_are_left_out_and_told(save: Save) -> None:
    path = save("a.json", f'[{{"text": "a"}},\n 7,\n {{"text": {DEEP}}}]')
    log = ReadLog()
    assert rows_of(path, log) == [(1, {"text": "a"})]
    assert [(problem.code, problem.count, problem.where) for problem in log.problems] == [
        ("bad-json", 2, f"{path}:2 (and 1 more row)")
    ]


@pytest.mark.parametrize(("content", "code"), [("", "empty-file"), ("  \n", "empty-file"), ("[]", "no-rows")])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_nothing_is_refused(save: Save, refused: Refused, content: str, code: str, suffix: str) -> None:
    path = save(f"a{suffix}", content)
    assert refused(lambda: rows_of(path)).code == code


@pytest.mark.parametrize("shape", ["%s\n", "[%s]"])
@pytest.mark.parametrize("cell", [b'"caf\xe9"', b'"\\ud83d"', b'"a\\u0000b"'])
def test_bad_characters_are_replaced_and_told(save: Save, shape: str, cell: bytes) -> None:
    content = shape.encode() % (b'{"text": %s, "label": ["x"]}' % cell)
    log = ReadLog()
    ((_, values),) = rows_of(save("a.json", content), log)
    assert "\ufffd" in str(values["text"])
    assert [problem.code for problem in log.problems] == ["bad-encoding"]


def test_a_pair_of_escapes_is_one_character(save: Save) -> None:
    assert rows_of(save("a.jsonl", r'{"text": "\ud83d\ude42"}')) == [(1, {"text": "🙂"})]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_record_of_50_mb_is_refused_in_bounded_memory(save: Save, refused: Refused, name: str) -> None:
    record = b'{"text": "' + b"x" * 50_000_000 + b'"}'
    path = save(
        name, b'{"text": "a"}\n' + record if name == "a.jsonl" else b'[{"text": "a"},\n' + record + b"]"
    )
    tracemalloc.start()
    problem = refused(lambda: rows_of(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (problem.code, problem.where) == ("line-too-long", f"{path}:2")
    assert peak < 6 * MAX_RECORD_CHARS


def test_a_long_list_is_streamed(save: Save) -> None:
    path = save("a.json", json.dumps([{"text": f"row {number}", "label": "a"} for number in range(20_000)]))
    tracemalloc.start()
    count = sum(1 for _ in open_rows(path, ReadLog()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda cells: st.lists(cells, max_size=3) | st.dictionaries(st.sampled_from("ab"), cells),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["text", "x", "y"]), CELLS), min_size=1, max_size=5),
    indent=st.sampled_from([None, 1]),
    escaped=st.booleans(),
)
def test_a_document_reads_as_json_loads_has_it(
    tmp_path: Path, rows: list[dict[str, object]], indent: int | None, escaped: bool
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    assert [values for _, values in rows_of(path)] == rows
