"""CSV and TSV: delimiters, encodings, headers, lines, and everything that can be wrong with them."""

from __future__ import annotations

import codecs
import gc
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.formats import csv
from tunesmith.data.formats.rows import MAX_RECORD_CHARS
from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog
from tunesmith.errors import UserError

from ..conftest import Refused, Save


def rows_of(path: Path, log: ReadLog | None = None) -> list[tuple[int, dict[str, object]]]:
    return [(row.line, row.values) for row in open_rows(path, log or ReadLog())]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(save: Save, delimiter: str) -> None:
    lines = ["text,label", '"Hello, you; there|\t",a', "no quotes here,b"]
    content = "\n".join(
        line.replace(",", delimiter) if at != 1 else f'"a, b; c|\td"{delimiter}a'
        for at, line in enumerate(lines)
    )
    assert rows_of(save("a.csv", content)) == [
        (2, {"text": "a, b; c|\td", "label": "a"}),
        (3, {"text": "no quotes here", "label": "b"}),
    ]


def test_commas_in_text_do_not_outvote_the_real_delimiter(save: Save) -> None:
    path = save("a.csv", "text;label\none, two, three;a\nfour, five;b\nsix;a\n")
    assert [values["text"] for _, values in rows_of(path)] == ["one, two, three", "four, five", "six"]


def test_a_tsv_prefers_tabs(save: Save) -> None:
    path = save("a.tsv", "a,b\tlabel\nx,y\tz\n")
    assert rows_of(path) == [(2, {"a,b": "x,y", "label": "z"})]


def test_one_column_needs_no_delimiter(save: Save) -> None:
    path = save("a.csv", "text\nHello, world\nyes; no\n")
    assert [values for _, values in rows_of(path)] == [{"text": "Hello, world"}, {"text": "yes; no"}]


def test_a_record_over_several_lines_is_where_it_begins(save: Save) -> None:
    path = save("a.csv", 'text,label\r\n"one\r\ntwo",a\r\n\r\n"say ""hi""",b\r\n')
    assert rows_of(path) == [
        (2, {"text": "one\r\ntwo", "label": "a"}),
        (5, {"text": 'say "hi"', "label": "b"}),
    ]


def test_carriage_returns_alone_end_lines_of_a_file_that_has_nothing_else(save: Save) -> None:
    assert [line for line, _ in rows_of(save("a.csv", "text,label\ra,b\rc,d\r"))] == [2, 3]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
def test_unicode_encodings_are_found(save: Save, encoding: str, mark: bytes) -> None:
    path = save("a.csv", mark + "text,label\nZoë 🙂,größer\n".encode(encoding))
    log = ReadLog()
    assert rows_of(path, log) == [(2, {"text": "Zoë 🙂", "label": "größer"})]
    assert not log.problems


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251"])
def test_an_older_encoding_is_guessed_with_a_warning(save: Save, encoding: str) -> None:
    words = {
        "cp1252": "Le garçon a mangé là-bas près de la forêt dorée",
        "cp1251": "Мальчик поел там у золотого леса",
    }
    content = "text,label\n" + f"{words[encoding]},a\n" * 30
    log = ReadLog()
    rows = rows_of(save("a.csv", content.encode(encoding)), log)
    (problem,) = log.problems
    assert (problem.code, problem.severity) == ("guessed-encoding", "warning")
    assert rows[0][1]["text"] == words[encoding]


def test_a_few_bad_bytes_are_a_problem_with_the_line_of_the_first(save: Save) -> None:
    lines = [b"text,label", *(b"row %d,a" % number for number in range(20))]
    lines[6] = b"caf\xe9,a"
    lines[9] = b"\xff\xfe,b"
    path = save("a.csv", b"\n".join(lines))
    log = ReadLog()
    rows = rows_of(path, log)
    (problem,) = log.problems
    assert (problem.code, problem.severity, problem.count) == ("bad-encoding", "error", 2)
    assert problem.where == f"{path}:7 (and 1 more row)"
    assert "UTF-8" in problem.fix
    assert rows[5] == (7, {"text": "caf\ufffd", "label": "a"})


def test_bad_bytes_among_good_utf8_are_not_taken_for_an_older_encoding(save: Save) -> None:
    content = b"text,label\n" + "naïve café,a\n".encode() * 5 + b"caf\xe9,a\n" * 5
    log = ReadLog()
    assert rows_of(save("a.csv", content), log)[0][1]["text"] == "naïve café"
    assert [problem.code for problem in log.problems] == ["bad-encoding"]


def test_ragged_rows_are_left_out_and_told(save: Save) -> None:
    path = save("a.csv", "text,label\nfine,a\nhello, world,b\nalone\nfine too,b\n")
    log = ReadLog()
    assert [line for line, _ in rows_of(path, log)] == [2, 5]
    (problem,) = log.problems
    assert (problem.code, problem.count, problem.where) == ("ragged-row", 2, f"{path}:3 (and 1 more row)")
    assert "3 cells" in problem.what


def test_empty_cells_at_the_end_of_a_row_are_no_fault(save: Save) -> None:
    log = ReadLog()
    assert rows_of(save("a.csv", "text,label\nfine,a,,\n"), log) == [(2, {"text": "fine", "label": "a"})]
    assert not log.problems


def test_an_unclosed_quote_is_told_where_it_opens(save: Save) -> None:
    path = save("a.csv", 'text,label\nfine,a\n"never closed,b\nmore,a\n')
    log = ReadLog()
    assert [line for line, _ in rows_of(path, log)] == [2]
    assert [(problem.code, problem.where) for problem in log.problems] == [("unclosed-quote", f"{path}:3")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty-file"),
        (" \n\n", "empty-file"),
        (codecs.BOM_UTF8, "empty-file"),
        ("text,label\n", "no-rows"),
        ("text,label", "no-rows"),
        ("text,text\na,b\n", "duplicate-column"),
        (",text,label\n0,a,b\n", "empty-column-name"),
        (b"\0\0\0\1" * 100, "not-text"),
    ],
)
def test_what_is_no_table_is_refused(save: Save, refused: Refused, content: str | bytes, code: str) -> None:
    path = save("a.csv", content)
    problem = refused(lambda: rows_of(path))
    assert problem.code == code
    assert str(path) in problem.where


def test_all_faults_of_a_header_are_told_at_once(save: Save) -> None:
    with pytest.raises(UserError) as caught:
        rows_of(save("a.csv", "text,,text\na,b,c\n"))
    assert {problem.code for problem in caught.value.problems} == {"empty-column-name", "duplicate-column"}


@pytest.mark.parametrize(
    "content", ["text,text\na,b\n", 'text,label\n"open' + "\nx" * (MAX_RECORD_CHARS // 2)]
)
def test_a_refused_file_is_closed_even_where_the_error_is_kept(save: Save, content: str) -> None:
    path = save("a.csv", content)
    with pytest.raises(UserError) as kept:
        rows_of(path)
    assert kept.value.problems
    files = [one for one in gc.get_objects() if isinstance(one, io.FileIO) and one.name == str(path)]
    assert all(file.closed for file in files)


@pytest.mark.parametrize(
    "content",
    [
        "3,Fears for pension,Unions say\n4,The race is on,A team\n",
        "good,I liked it\nbad,I did not\ngood,Fine\n",
        f"sport,{'very long ' * 20}\npolitics,short\n",
    ],
)
def test_a_file_without_a_header_gets_numbered_columns(save: Save, content: str) -> None:
    log = ReadLog()
    (line, values), *_ = rows_of(save("a.csv", content), log)
    assert line == 1
    assert list(values)[:2] == ["column_1", "column_2"]
    assert "first row" in log.notes[0]


@pytest.mark.parametrize(
    "content",
    [
        "text,7\n1,2\n",
        "kind,words\nfun,I laughed\nsad,I wept\n",
        "0,1\nI laughed,fun\n",
        "text,label\na,b\ntext,label\n",
    ],
)
def test_a_header_is_known_as_one(save: Save, content: str) -> None:
    log = ReadLog()
    assert rows_of(save("a.csv", content), log)[0][0] == 2
    assert not log.notes


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".xz"])
def test_compression_goes_by_suffix(save: Save, suffix: str) -> None:
    assert rows_of(save(f"a.csv{suffix}", "text,label\na,b\n")) == [(2, {"text": "a", "label": "b"})]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_a_damaged_archive_is_refused(save: Save, refused: Refused, suffix: str, kept: float) -> None:
    path = save(f"a.csv{suffix}", "text,label\n" + "".join(f"row {number},a\n" for number in range(5000)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)] or b"this is not compressed")
    assert refused(lambda: rows_of(path)).code == "bad-compression"


def test_a_line_of_50_mb_is_refused_in_bounded_memory(save: Save, refused: Refused) -> None:
    path = save("a.csv", b"text,label\nfine,a\n" + b"x" * 50_000_000 + b",b\n")
    tracemalloc.start()
    problem = refused(lambda: rows_of(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (problem.code, problem.where) == ("line-too-long", f"{path}:3")
    assert peak < 4 * MAX_RECORD_CHARS


def test_a_record_of_many_lines_is_refused_where_it_begins(save: Save, refused: Refused) -> None:
    path = save(
        "a.csv", 'text,label\nfine,a\n"never closed,b\n' + "x" * 999 + "\n" + ("y" * 999 + "\n") * 10_100
    )
    problem = refused(lambda: rows_of(path))
    assert (problem.code, problem.where) == ("line-too-long", f"{path}:3")
    assert "quote" in problem.fix


def test_a_long_cell_below_the_cap_is_read(save: Save) -> None:
    path = save("a.csv", "text,label\n" + "x" * 1_000_000 + ",b\n")
    assert len(str(rows_of(path)[0][1]["text"])) == 1_000_000


def test_reading_is_lazy(save: Save) -> None:
    path = save("a.csv", "text,label\n" + "some text,a\n" * 60_000)
    tracemalloc.start()
    count = sum(1 for _ in csv.rows(path, ReadLog()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 5_000_000


_BYTES = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.sampled_from(
            [b"text", b"label", b",", b";", b'"', b"\n", b"\r", b"\0", b"\xff", "é".encode(), b"1"]
        )
    )
    .map(b"".join)
    .filter(lambda data: len(data) < 500),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=_BYTES,
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".parquet", ".csv.gz", ".csv.zst"]),
)
def test_arbitrary_bytes_are_read_or_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    try:
        for row in open_rows(path, ReadLog()):
            for cell in row.values.values():
                str(cell).encode()
    except UserError:
        pass
