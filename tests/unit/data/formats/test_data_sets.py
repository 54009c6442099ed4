"""Data sets of the `datasets` library: saved ones in full, and a hub that is out of reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.data.formats.source import open_rows, source_sha256
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import read

from ..conftest import Refused

datasets = pytest.importorskip("datasets")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["politics", "sports"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["new", "old"])),
        }
    )
    rows = {"text": ["a vote", "a goal", "?"], "label": [0, 1, -1], "tags": [[0], [0, 1], []]}
    train = datasets.Dataset.from_dict(rows, features=features)
    test = datasets.Dataset.from_dict({"text": ["z"], "label": [1], "tags": [[]]}, features=features)
    datasets.DatasetDict(train=train, test=test).save_to_disk(tmp_path / "set")
    train.save_to_disk(tmp_path / "one")
    return tmp_path / "set"


def test_labels_come_by_their_names(saved: Path) -> None:
    log = ReadLog()
    rows = list(open_rows(saved, log))
    assert [row.values["label"] for row in rows] == ["politics", "sports", None]
    assert [row.values["tags"] for row in rows] == [["new"], ["new", "old"], []]
    assert [row.where for row in rows] == [f"{saved}:{number}" for number in (1, 2, 3)]
    assert log.notes == [f'split "train" is read; for another: {saved}#test']


def test_a_split_is_named_after_the_directory(saved: Path, refused: Refused) -> None:
    assert [row.values["text"] for row in open_rows(Path(f"{saved}#test"), ReadLog())] == ["z"]
    assert source_sha256(Path(f"{saved}#test")) != source_sha256(Path(f"{saved}#train"))
    assert refused(lambda: list(open_rows(Path(f"{saved}#dev"), ReadLog()))).code == "no-part"
    one = saved.with_name("one")
    assert len(list(open_rows(one, ReadLog()))) == 3
    assert refused(lambda: list(open_rows(Path(f"{one}#train"), ReadLog()))).code == "no-part"


def test_it_is_read_as_any_other_data(saved: Path) -> None:
    dataset = read(Path(f"{saved}#test"))
    assert dataset.task.labels == ("sports",)
    assert dataset.texts == ["z"]


def test_a_damaged_directory_is_one_clear_error(saved: Path, refused: Refused) -> None:
    one = saved.with_name("one")
    state = json.loads((one / "state.json").read_text())
    (one / state["_data_files"][0]["filename"]).unlink()
    assert refused(lambda: list(open_rows(one, ReadLog()))).code == "no-dataset"


def test_a_hub_out_of_reach_is_told_at_once(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    problem = refused(lambda: list(open_rows(Path("hf:owner/news#test"), ReadLog())))
    assert (problem.code, problem.where) == ("no-dataset", "hf:owner/news")
    assert "127.0.0.1:9" in problem.what
