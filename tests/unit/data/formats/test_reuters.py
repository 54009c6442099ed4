"""Reuters-21578: markup that is no XML, marks of the splits, and the real collection."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import read

from ..conftest import Refused


def document(number: int, topics: str, text: str, split: str = "TRAIN", has: str = "YES") -> str:
    marks = "".join(f"<D>{topic}</D>" for topic in topics.split())
    return f"""<REUTERS TOPICS="{has}" LEWISSPLIT="{split}" CGISPLIT="OTHER" OLDID="5" NEWID="{number}">
<DATE>26-FEB-1987 15:01:01.79</DATE>
<TOPICS>{marks}</TOPICS>
<PLACES><D>usa</D></PLACES>
<UNKNOWN>&#5;&#22;u f</UNKNOWN>
<TEXT>&#2;
{text}&#3;</TEXT>
</REUTERS>
"""


NORMAL = """<TITLE>PROFIT &lt;ABC> UP</TITLE>
<DATELINE>    NEW YORK, Feb 26 - </DATELINE><BODY>Profit at caf\xe9s
   rose.
 Reuter
&#3;</BODY>"""


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    first = [
        document(1, "earn", NORMAL),
        document(2, "earn rare", NORMAL),
        document(3, "rare", NORMAL),
        document(4, "earn", NORMAL, has="NO"),
    ]
    second = [
        document(5, "earn acq", "<TITLE>SHORT</TITLE>", "TEST"),
        document(6, "earn", "no headline\nat all", "NOT-USED"),
        document(7, "acq", "  &#2;", "TRAIN"),
    ]
    start = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'
    (tmp_path / "reut2-000.sgm").write_bytes((start + "".join(first)).encode("latin-1"))
    (tmp_path / "reut2-001.sgm.gz").write_bytes(gzip.compress((start + "".join(second)).encode("latin-1")))
    (tmp_path / "README.txt").write_text("about it")
    return tmp_path


def test_headline_and_story_are_the_text_and_topics_the_labels(collection: Path) -> None:
    rows = {row.values["id"]: row for row in open_rows(collection, ReadLog())}
    assert list(rows) == ["1", "2", "3", "4", "5", "6"]
    assert rows["1"].values["text"] == "PROFIT <ABC> UP\nProfit at caf\xe9s\nrose."
    assert rows["2"].values["labels"] == ["earn", "rare"]
    assert rows["5"].values["text"] == "SHORT"
    assert rows["6"].values["text"] == "no headline\nat all"
    assert rows["1"].values["date"] == "26-FEB-1987 15:01:01.79"
    lines = (collection / "reut2-000.sgm").read_text("latin-1").split("\n")
    assert 'NEWID="2"' in lines[rows["2"].line - 1]


def test_parts_are_those_of_the_modapte_split(collection: Path) -> None:
    train = list(open_rows(Path(f"{collection}#train"), ReadLog()))
    # "rare" is not in the test part, topics of document 4 were not assigned, document 7 has no words
    assert [(row.values["id"], row.values["labels"]) for row in train] == [("1", ["earn"]), ("2", ["earn"])]
    test = list(open_rows(Path(f"{collection}#test"), ReadLog()))
    assert [(row.values["id"], row.values["labels"]) for row in test] == [("5", ["earn", "acq"])]


def test_a_document_without_words_is_told(collection: Path) -> None:
    log = ReadLog()
    list(open_rows(collection, log))
    assert [(problem.code, problem.severity) for problem in log.problems] == [("no-words", "warning")]


def test_another_part_or_other_markup_is_refused(collection: Path, refused: Refused) -> None:
    assert refused(lambda: list(open_rows(Path(f"{collection}#dev"), ReadLog()))).code == "no-part"
    other = collection / "other.sgml"
    other.write_text("<book>\n<p>text\n</book>")
    assert refused(lambda: list(open_rows(other, ReadLog()))).code == "unknown-format"


@pytest.mark.parametrize(("part", "count"), [("train", 7770), ("test", 3019)])
def test_the_real_collection_is_what_others_made_of_it(shared: Path, part: str, count: int) -> None:
    raw = Path(f"{shared / 'data' / 'reuters21578' / 'raw'}#{part}")
    dataset = read(raw)
    assert len(dataset) == count
    assert len(dataset.task.labels) == 90
    theirs = pq.read_table(shared / "data" / "reuters21578" / f"{part}.parquet").to_pylist()
    # they kept the agency's signature where it is in small letters, and topics that a document has twice
    expected = [(_words(row["text"]), {*row["labels"]}) for row in theirs]
    assert [(_words(row.text), {*(row.target or ())}) for row in dataset] == expected


def _words(text: str) -> str:
    return " ".join(text.split()).removesuffix(" reuter")
