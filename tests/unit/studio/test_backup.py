"""The pieces of a backup: names, copies, sizes and the newest checkpoint."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tunesmith.errors import StorageError
from tunesmith.studio.backup.copying import Copied, Tally, check_room, opened_files
from tunesmith.studio.backup.manifest import is_name
from tunesmith.studio.backup.runs import job_of_work, kept_works, local_runs, name_of_work
from tunesmith.studio.blobs import LocalBlobs, RemoteBlobs


@pytest.mark.parametrize(
    "path",
    [
        "studio.yaml",
        "keys.json",
        "tables/jobs.jsonl",
        "blobs/files/file-0a",
        "blobs/parts/part_0a",
        "blobs/models/ftjob-0a-1-5/config.json",
        "blobs/work/ftjob-0a-step-00000005/checkpoints/step-00000005/model.safetensors",
    ],
)
def test_what_backups_write_has_names_that_backups_have(path: str) -> None:
    assert is_name(path)


@pytest.mark.parametrize(
    "path",
    [
        "manifest.json",
        "tables/jobs.json",
        "tables/../studio.yaml",
        "blobs/files",
        "blobs/files/..",
        "blobs/files/file-0a/more",
        "blobs/models/m",
        "blobs/models/m/../x",
        "blobs/models/m/.x",
        "blobs/models/m/a\\b",
        "blobs/models/m/a\n",
        "blobs/models/m/" + "a" * 256,
        "/studio.yaml",
        "STUDIO.yaml",
    ],
)
def test_no_other_path_is_one(path: str) -> None:
    assert not is_name(path)


def test_what_was_copied_can_be_dropped_again(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    copied = Copied(tmp_path, Tally("Copying", 4, lambda *told: said.append(told)))
    for path in ("blobs/models/a/x", "blobs/models/a/y/z", "blobs/models/ab/x", "blobs/files/a"):
        entry = copied.add(path, io.BytesIO(b"ab"))
        assert (entry.bytes, entry.sha256[:8]) == (2, "fb8e20fc")
    # a total that was too small grows with what comes
    assert said == [("Copying", 2, 4), ("Copying", 4, 4), ("Copying", 6, 6), ("Copying", 8, 8)]
    copied.drop("models/a")
    copied.drop("files/a")
    copied.drop("files/never")
    assert list(copied.entries) == ["blobs/models/ab/x"]
    assert [path.name for path in (tmp_path / "blobs" / "models").iterdir()] == ["ab"]
    assert list((tmp_path / "blobs" / "files").iterdir()) == []


def test_what_does_not_fit_is_told_before() -> None:
    check_room("here", 5, 5)
    check_room("s3://there", None, 5)
    with pytest.raises(StorageError) as caught:
        check_room("here", 5, 6)
    assert [(each.code, each.where) for each in caught.value.problems] == [("disk-low", "here")]


def test_the_newest_checkpoint_is_that_of_the_newest_attempt(tmp_path: Path) -> None:
    for place in ("000001/run/checkpoints/step-00000009", "000002/run/checkpoints/step-00000004"):
        (tmp_path / "ftjob-a" / place).mkdir(parents=True)
    (tmp_path / "ftjob-a" / "000003" / "run").mkdir(parents=True)
    (tmp_path / "ftjob-b" / "000001").mkdir(parents=True)
    run = tmp_path / "ftjob-a" / "000002" / "run"
    assert local_runs(tmp_path, ["ftjob-a", "ftjob-b", "ftjob-c"]) == {"ftjob-a": run}
    (run / "checkpoints" / "step-00000004" / "state.json").write_text("{}")
    with opened_files(run) as files:
        (run / "checkpoints" / "step-00000004" / "state.json").unlink()
        assert name_of_work("ftjob-a", files) == "work/ftjob-a-step-00000004"
        assert files["checkpoints/step-00000004/state.json"].read() == b"{}"
    assert name_of_work("ftjob-a", ["run.json"]) is None


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_the_files_of_blobs_and_their_sizes(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("fsspec")
    local = LocalBlobs(tmp_path / "blobs")
    blobs = local if kind == "local" else RemoteBlobs(f"file://{tmp_path}/bucket", tmp_path / "cache")
    source = tmp_path / "source"
    (source / "checkpoints").mkdir(parents=True)
    (source / "run.json").write_text("{}")
    (source / "checkpoints" / "x").write_text("abc")
    for step in (4, 12):
        blobs.put_directory(f"work/ftjob-0a-step-{step:08d}", source)
    with blobs.writing("files/a") as stream:
        stream.write(b"abcde")
    assert blobs.files_in("files/a") == {"": 5}
    assert blobs.files_in("work/ftjob-0a-step-00000012") == {"run.json": 2, "checkpoints/x": 3}
    with blobs.open("work/ftjob-0a-step-00000012", "checkpoints/x") as opened:
        assert opened.read() == b"abc"
    assert kept_works(blobs, ["ftjob-0a", "ftjob-0b"]) == {"ftjob-0a": "work/ftjob-0a-step-00000012"}
    assert kept_works(blobs, ["ftjob-0b"]) == {}
    assert job_of_work("models/ftjob-0a-1-5") is None
    with pytest.raises(StorageError) as caught:
        blobs.files_in("models/none")
    assert caught.value.problems[0].code == "no-file"
