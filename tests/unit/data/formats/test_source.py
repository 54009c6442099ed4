"""Paths that cannot be read, told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog
from tunesmith.errors import StorageError

from ..conftest import Refused, Save


def test_a_missing_file_names_the_nearest(tmp_path: Path, save: Save, refused: Refused) -> None:
    near = save("reviews.csv", "text,label\n")
    problem = refused(lambda: open_rows(tmp_path / "revews.csv", ReadLog()))
    assert problem.code == "no-file"
    assert str(near) in problem.fix


def test_a_missing_directory_is_named(tmp_path: Path, refused: Refused) -> None:
    problem = refused(lambda: open_rows(tmp_path / "nowhere" / "a.csv", ReadLog()))
    assert problem.code == "no-file"
    assert str(tmp_path / "nowhere") in problem.fix


@pytest.mark.parametrize("name", ["a.docx", "a", "a.gz", "a.parquet.gz", "a.csv.bz2", ".csv"])
def test_an_unknown_suffix_lists_the_known(save: Save, refused: Refused, name: str) -> None:
    path = save(name, "text,label\n")
    problem = refused(lambda: open_rows(path, ReadLog()))
    assert problem.code == "unknown-format"
    assert ".jsonl" in problem.fix
    assert ".parquet" in problem.fix


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, refused: Refused) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert refused(lambda: open_rows(tmp_path / "a.csv", ReadLog())).code == "unknown-format"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_a_forbidden_file_is_refused(save: Save, name: str) -> None:
    path = save(name, "text,label\na,b\n")
    path.chmod(0)
    with pytest.raises(StorageError, match="no-permission"):
        list(open_rows(path, ReadLog()))


def test_faults_alone_are_told_where_no_row_is_left(save: Save, refused: Refused) -> None:
    path = save("a.jsonl", "nonsense\n")
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == "bad-json"
