"""A studio that is backed up and restored: what it answered before, what it was at, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tests.forked import nursery
from tests.integration.studio.conftest import AtStep
from tests.postgres import new_database
from tests.studio import Studio, again, claimed, classes, heard, new_studio, talks, weights
from tunesmith.config import write_config
from tunesmith.errors import StorageError
from tunesmith.studio.backup.restoring import restore
from tunesmith.studio.backup.taking import back_up
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.ids import new_id
from tunesmith.studio.serving import Setup
from tunesmith.studio.store.all_rows import TABLES
from tunesmith.studio.store.requests import Fingerprint
from tunesmith.studio.types import Job, Part, Upload
from tunesmith.studio.work.training import train_claim


@pytest.fixture
def opened() -> Iterator[Callable[..., Studio]]:
    """Open a studio that was restored; it is closed behind the test."""
    found: list[Studio] = []

    def open_studio(
        directory: Path, like: Studio, url: str | None = None, blobs: str | None = None
    ) -> Studio:
        url = url or f"sqlite:///{directory}/studio.db"
        found.append(Studio(url, directory, like.config, blobs or str(directory / "blobs")))
        return found[-1]

    yield open_studio
    for studio in found:
        studio.close()


def setup_of(studio: Studio) -> Setup:
    """What the command would be started with."""
    config = studio.config.model_copy(update={"store": studio.url, "blobs": studio.blobs})
    return Setup(studio.directory, config, None)


def rows_of(studio: Studio) -> dict[str, list[Any]]:
    """All rows but what a restore changes of jobs."""
    with studio.store.all_rows.snapshot() as snapshot:
        found = {table: [dict(row) for row in snapshot.rows(table)] for table in TABLES}
    for row in found["jobs"]:
        for name in ("lease_owner", "lease_until", "fence"):
            del row[name]
    return found


def paused_at(studio: Studio, job: Job, step: int, at_step: AtStep) -> None:
    def pause() -> None:
        studio.store.jobs.ask("default", job.id, "pause")
        heard(studio, job)

    at_step(step, pause)
    assert studio.trained(job).status == "paused"


def test_a_restored_studio_answers_as_before_and_goes_on_to_the_same_weights(
    studio: Studio,
    tmp_path: Path,
    at_step: AtStep,
    opened: Callable[..., Studio],
) -> None:
    done = studio.trained(studio.job(studio.file(talks(12)), validation_file=studio.file(classes(3))))
    paused, waiting = again(studio, done), studio.job(studio.file(talks(10)))
    studio.validated(waiting)
    studio.store.jobs.ask("default", waiting.id, "pause")
    paused_at(studio, paused, 5, at_step)
    (studio.directory / "keys.json").write_text("{}")
    taken = back_up(setup_of(studio), tmp_path / "out")
    assert taken.problems == ()
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_file()}
    modes |= {path.stat().st_mode & 0o7777 for path in (tmp_path / "out").rglob("*") if path.is_dir()}
    assert modes == {0o600, 0o700}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    before, asked = rows_of(studio), tunesmith.load_writer(studio.model_path(done)).write(["the coach 1"])
    shutil.rmtree(studio.directory)

    restored = restore(tmp_path / "out", tmp_path / "new")
    assert restored.kept == ()
    new = opened(tmp_path / "new", studio)
    assert (tmp_path / "new" / "keys.json").read_text() == "{}"
    assert (tmp_path / "new" / "studio.yaml").is_file()
    assert rows_of(new) == before
    assert tunesmith.load_writer(new.model_path(done)).write(["the coach 1"]) == asked
    assert new.found(waiting).status == "paused"
    new.store.jobs.ask("default", paused.id, "resume")
    assert new.trained(paused).status == "succeeded"
    assert weights(new, paused) == weights(new, done)
    steps = [message.split("/")[0] for message in new.messages(paused) if message.startswith("Step ")]
    assert steps == [f"Step {step}" for step in range(1, 13)]


def test_a_job_at_work_is_taken_up_again_and_whoever_held_it_is_refused(
    studio: Studio,
    tmp_path: Path,
    at_step: AtStep,
    opened: Callable[..., Studio],
) -> None:
    plain = studio.trained(studio.job(studio.file(talks(12))))
    job = again(studio, plain)
    claim = claimed(studio, job, "first")

    def take() -> None:
        heard(studio, job)
        back_up(setup_of(studio), tmp_path / "out")

    at_step(7, take)
    train_claim(studio.place, claim, threading.Event())
    assert studio.found(job).status == "succeeded"
    restore(tmp_path / "out", tmp_path / "new")
    new = opened(tmp_path / "new", studio)
    there = new.found(job)
    assert (there.status, there.lease_owner, there.lease_until) == ("running", None, None)
    assert there.fence == claim.lease.fence + 1
    assert there.step <= 7
    assert new.trained(job).status == "succeeded"
    assert weights(new, job) == weights(studio, plain)


def test_a_backup_goes_from_sqlite_to_postgresql_and_back(
    studio: Studio,
    tmp_path: Path,
    postgres: str,
    at_step: AtStep,
    opened: Callable[..., Studio],
) -> None:
    """And from a directory to blobs that lie elsewhere, and back: a paused job goes on after both."""
    plain = studio.trained(studio.job(studio.file(talks(12)), metadata={"a": "1"}))
    job = again(studio, plain)
    upload = studio.store.uploads.add(Upload(new_id("upload"), "p", 0, 0, "ü", "fine-tune", 2, "x"), 60)
    part = new_id("part")
    with studio.place.blobs.writing(f"parts/{part}") as stream:
        stream.write(b"ab")
    studio.store.uploads.add_part(Part(part, upload.id, 0, 2, f"parts/{part}"))
    remembered = Fingerprint("f" * 64, again=True)
    kept = studio.store.jobs.add(Job(new_id("job"), "other", 0, "tiny", "file-x", 1), remembered)
    studio.store.jobs.ask("other", kept.id, "cancel")
    paused_at(studio, job, 5, at_step)
    before = rows_of(studio)

    url, bucket = new_database(postgres), f"file://{tmp_path}/bucket"
    config = tmp_path / "elsewhere.yaml"
    write_config(config, studio.config.model_copy(update={"store": url, "blobs": bucket}))
    back_up(setup_of(studio), tmp_path / "one")
    restore(tmp_path / "one", tmp_path / "new", config)
    moved = opened(tmp_path / "new", studio, url, bucket)
    assert rows_of(moved) == before
    assert not list((tmp_path / "new" / "work").iterdir())
    # it would be served on another database than the one that was named
    assert not (tmp_path / "new" / "studio.yaml").exists()
    # what is new comes behind what was there
    late = moved.store.jobs.add(Job(new_id("job"), "other", 0, "tiny", "file-x", 1), remembered)
    assert late.id == kept.id
    newest = moved.store.jobs.add(Job(new_id("job"), "other", 0, "tiny", "file-x", 1))
    listed = moved.store.jobs.page("other", metadata={}, after=None, limit=1)
    assert [each.id for each in listed.data] == [newest.id]
    before = rows_of(moved)

    back_up(setup_of(moved), tmp_path / "two")
    write_config(config, studio.config)
    restore(tmp_path / "two", tmp_path / "back", config)
    back = opened(tmp_path / "back", studio)
    assert rows_of(back) == before
    back.store.jobs.ask("default", job.id, "resume")
    assert back.trained(job).status == "succeeded"
    assert weights(back, job) == weights(studio, plain)


def test_a_backup_made_while_files_and_jobs_come_and_go_is_of_one_moment(
    studio: Studio, tmp_path: Path, opened: Callable[..., Studio]
) -> None:
    """Backups in a row, beside one who adds files with a job each, and removes every other file again."""
    over, trouble = threading.Event(), list[BaseException]()

    def busy() -> None:
        try:
            while not over.is_set():
                file_id = studio.file(talks(1))
                job = studio.job(file_id)
                studio.store.jobs.ask("default", job.id, "cancel")
                if job.id[-1] in "02468ace":
                    gone = studio.store.files.remove("default", file_id)
                    assert gone is not None
                    studio.place.blobs.remove(gone.blob)
        except BaseException as error:  # noqa: BLE001 (the test tells it)
            trouble.append(error)

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        for number in range(6):
            studio.wait(lambda: len(rows_of(studio)["jobs"]) > 5 * number)  # noqa: B023
            back_up(setup_of(studio), tmp_path / f"out-{number}")
    finally:
        over.set()
        worker.join()
    assert trouble == []
    for number in range(6):
        restore(tmp_path / f"out-{number}", tmp_path / f"new-{number}")
        rows = rows_of(opened(tmp_path / f"new-{number}", studio))
        events = {job["id"]: 0 for job in rows["jobs"]}
        for event in rows["events"]:
            events[event["job_id"]] += 1
        assert len(events) > 5 * number
        # whatever was written together is there together
        assert all(events[job["id"]] == (3 if job["status"] == "cancelled" else 2) for job in rows["jobs"])
        files = {row["id"] for row in rows["files"]}
        at_work = [job for job in rows["jobs"] if job["status"] != "cancelled"]
        # but for files that were removed later, whose jobs had been cancelled by then
        kept = {row["id"] for row in rows_of(studio)["files"]}
        assert not [job for job in at_work if job["training_file"] in kept - files]


@pytest.fixture
def small(studio: Studio, tmp_path: Path) -> Path:
    """A backup of two files and a job."""
    studio.job(studio.file(talks(3)))
    studio.file(classes(2))
    back_up(setup_of(studio), tmp_path / "out")
    return tmp_path / "out"


def refused(backup: Path, directory: Path) -> list[tuple[str, str]]:
    """Code and place of each fault; nothing was made."""
    with pytest.raises(StorageError) as caught:
        restore(backup, directory)
    assert not directory.exists()
    return sorted((problem.code, Path(problem.where).name) for problem in caught.value.problems)


def test_everything_that_is_wrong_with_a_backup_is_named_at_once(small: Path, tmp_path: Path) -> None:
    flipped, missing = sorted((small / "blobs" / "files").iterdir())
    data = bytearray(flipped.read_bytes())
    data[3] ^= 1
    flipped.write_bytes(data)
    missing.unlink()
    (small / "tables" / "events.jsonl").write_bytes(b"{}\n")
    (small / "blobs" / "more").write_text("x")
    (small / "blobs" / "linked").symlink_to("/etc")
    assert refused(small, tmp_path / "new") == [
        ("backup-damaged", name)
        for name in sorted(["events.jsonl", "linked", "more", flipped.name, missing.name])
    ]


def test_any_flipped_bit_is_found(small: Path, tmp_path: Path) -> None:
    for path in [each for each in small.rglob("*") if each.is_file()]:
        whole = path.read_bytes()
        for at in range(0, len(whole), 1 + len(whole) // 40):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            faults = refused(small, tmp_path / "new")
            assert faults, f"{path.name}, byte {at}"
            assert {code for code, _ in faults} <= {"backup-damaged", "backup-version"}
        path.write_bytes(whole)
    restore(small, tmp_path / "new")


def rewritten(backup: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as somebody would who knows how it is made."""
    from tunesmith.studio.backup.manifest import MANIFEST, Manifest, write_manifest

    values = json.loads((backup / MANIFEST).read_text())
    del values["sha256"]
    change(values)
    write_manifest(backup, Manifest.model_validate(values))


def test_a_backup_of_another_version_is_refused(small: Path, tmp_path: Path) -> None:
    rewritten(small, lambda values: values.update(tables_version=99))
    assert refused(small, tmp_path / "new") == [("backup-version", "manifest.json")]
    rewritten(small, lambda values: values.update(format=7))
    assert refused(small, tmp_path / "new") == [("backup-version", "manifest.json")]
    assert refused(tmp_path, tmp_path / "new") == [("no-backup", tmp_path.name)]


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "blobs/models/../../../outside",
        "blobs/models/a/../../../../outside",
        "/etc/passwd",
        "blobs/models/a//b",
        "blobs/models/a/.hidden",
        "blobs/models/a",
        "blobs/files/a/b",
        "blobs/other/a",
        "tables/about.jsonl",
        "blobs/files/a\nb",
        "",
    ],
)
def test_no_path_of_a_manifest_is_believed(small: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_text("mine")
    entry = {"bytes": 4, "sha256": "0" * 64}
    rewritten(small, lambda values: values["files"].update({path: entry}))
    assert ("backup-damaged", "manifest.json") in refused(small, tmp_path / "new")
    assert (tmp_path / "outside").read_text() == "mine"


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("jobs", {"id": "../../outside"}),
        ("jobs", {"status": "odd"}),
        ("jobs", {"seed": "1"}),
        ("jobs", {"seed": 2**63}),
        ("jobs", {"model": None}),
        ("jobs", {"more": 1}),
        ("files", {"blob": "models/x"}),
        ("files", {"blob": "files/../../outside"}),
        ("files", {"blob": "files/not-there"}),
        ("files", {"purpose": "x" * 33}),
        ("events", {"job_id": "ftjob-of-nobody"}),
    ],
)
def test_rows_that_are_none_of_a_table_are_refused(
    small: Path, tmp_path: Path, table: str, values: dict[str, Any]
) -> None:
    from tunesmith.files import sha256_file

    path = small / "tables" / f"{table}.jsonl"
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | values), *others]) + "\n")
    entry = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    rewritten(small, lambda manifest: manifest["files"].update({f"tables/{table}.jsonl": entry}))
    with pytest.raises(StorageError) as caught:
        restore(small, tmp_path / "new")
    assert {problem.code for problem in caught.value.problems} == {"backup-damaged"}
    if (tmp_path / "new").exists():
        # the database found it, and took no row
        store = Studio(f"sqlite:///{tmp_path}/new/studio.db", tmp_path / "new", StudioConfig(), "x").store
        store.all_rows.check_empty()
        store.close()


def test_a_studio_that_has_something_is_not_filled(studio: Studio, small: Path) -> None:
    with pytest.raises(StorageError) as caught:
        restore(small, studio.directory)
    assert [problem.code for problem in caught.value.problems] == ["store-not-empty"]
    blobs = studio.directory.parent / "another"
    (blobs / "blobs" / "files").mkdir(parents=True)
    (blobs / "blobs" / "files" / "file-x").write_text("x")
    with pytest.raises(StorageError) as caught:
        restore(small, blobs)
    assert [problem.code for problem in caught.value.problems] == ["store-not-empty"]


def test_a_backup_goes_nowhere_where_something_is(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for directory, out, code in ((studio.directory, "out", "exists"), (tmp_path / "no", "new", "no-studio")):
        setup = Setup(directory, StudioConfig(), None)
        with pytest.raises(StorageError) as caught:
            back_up(setup, tmp_path / out)
        assert [problem.code for problem in caught.value.problems] == [code]
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "no").exists()


def test_what_is_damaged_in_the_studio_is_told_and_what_is_lost_ends_the_backup(
    studio: Studio, tmp_path: Path
) -> None:
    done = studio.trained(studio.job(studio.file(talks(10))))
    blob = studio.directory / "blobs" / "files" / done.training_file
    blob.write_bytes(blob.read_bytes() + b"\n")
    report = studio.model_path(done) / "report.json"
    report.write_text(report.read_text() + "\n")
    taken = back_up(setup_of(studio), tmp_path / "one")
    told = {(problem.code, problem.severity, problem.where) for problem in taken.problems}
    model = studio.store.models.find("default", str(done.fine_tuned_model))
    assert model is not None
    assert told == {
        ("blob-changed", "warning", f"files/{done.training_file}"),
        ("blob-changed", "warning", f"{model.blob}/report.json"),
    }
    blob.unlink()
    with pytest.raises(StorageError) as caught:
        back_up(setup_of(studio), tmp_path / "two")
    assert [(each.code, each.where) for each in caught.value.problems] == [
        ("blob-missing", f"files/{blob.name}")
    ]
    assert not (tmp_path / "two").exists()


_KILLED = """
import os, sys
from tunesmith.studio.backup.copying import Tally
from tunesmith.cli.main import main
add, left = Tally.add, int(sys.argv.pop(1))
number = int(sys.argv.pop(1))
def killed(tally, count):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), number)
    add(tally, count)
Tally.add = killed
sys.argv[0] = "tunesmith"
main()
"""


def killed(left: int, number: signal.Signals, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, ended by a signal in the midst of its copying."""
    typed = [str(nursery().python), "-c", _KILLED, str(left), str(int(number)), *map(str, words)]
    return subprocess.run(typed, capture_output=True, text=True, env=dict(os.environ))


def test_a_backup_that_is_stopped_leaves_nothing_and_one_that_is_killed_no_backup(
    studio: Studio, tmp_path: Path
) -> None:
    studio.trained(studio.job(studio.file(talks(10))))
    out = tmp_path / "there" / "out"
    for number in (signal.SIGINT, signal.SIGTERM):
        done = killed(4, number, "studio", "backup", studio.directory, out)
        assert done.returncode == 130, done.stderr
        assert "there is no backup" in done.stderr
        assert list(out.parent.iterdir()) == []
    assert killed(4, signal.SIGKILL, "studio", "backup", studio.directory, out).returncode == -signal.SIGKILL
    assert not out.exists()
    done = killed(-1, signal.SIGKILL, "studio", "backup", studio.directory, out)
    assert done.returncode == 0, done.stderr
    assert "1 job," in done.stderr
    assert (out / "manifest.json").is_file()


def test_a_restore_that_is_killed_is_begun_again(
    studio: Studio,
    tmp_path: Path,
    at_step: AtStep,
    opened: Callable[..., Studio],
) -> None:
    done = studio.trained(studio.job(studio.file(talks(12))))
    job = again(studio, done)
    paused_at(studio, job, 5, at_step)
    taken = back_up(setup_of(studio), tmp_path / "out").manifest
    blobs = [path for path in taken.files if path.startswith("blobs/")]
    # all are read before any is written, and of those that hold something a byte is counted
    read = sum(entry.bytes > 0 for entry in taken.files.values())
    for left in (1, len(blobs) // 3, len(blobs) // 2, len(blobs)):
        words = ("studio", "restore", tmp_path / "out", tmp_path / "new")
        ended = killed(read + left, signal.SIGKILL, *words)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        half = opened(tmp_path / "new", studio)
        half.store.all_rows.check_empty()
    whole = killed(-1, signal.SIGKILL, *words)
    assert whole.returncode == 0, whole.stderr
    new = opened(tmp_path / "new", studio)
    assert rows_of(new) == rows_of(studio)
    new.store.jobs.ask("default", job.id, "resume")
    assert new.trained(job).status == "succeeded"
    assert weights(new, job) == weights(studio, done)
    assert not list((tmp_path / "new" / "work").iterdir())


def test_what_is_removed_while_a_backup_is_made_is_not_in_it(
    tmp_path: Path, small_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs that lie elsewhere, of which one goes before it is copied and one behind."""
    from tunesmith.studio.backup.copying import Copied

    blobs = f"file://{tmp_path}/bucket"
    studio = new_studio(f"sqlite:///{tmp_path}/studio.db", tmp_path / "studio", small_base, blobs=blobs)
    files = [studio.file(talks(2)) for _ in range(3)]
    add = Copied.add

    def remove_others(copied: Copied, path: str, source: Any) -> Any:
        entry = add(copied, path, source)
        for file_id in files[:2] if path == f"blobs/files/{files[0]}" else ():
            gone = studio.store.files.remove("default", file_id)
            assert gone is not None
            studio.place.blobs.remove(gone.blob)
        return entry

    monkeypatch.setattr(Copied, "add", remove_others)
    taken = back_up(setup_of(studio), tmp_path / "out")
    assert taken.manifest.tables["files"] == 1
    assert list(taken.manifest.blobs()) == [f"files/{files[2]}"]
    restore(tmp_path / "out", tmp_path / "new")
    studio.close()


def test_a_job_that_waited_for_what_was_removed_meanwhile_fails_and_says_so(
    studio: Studio, tmp_path: Path, opened: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are of the moment before, in which its owner had not yet cancelled it."""
    from tunesmith.studio.backup import taking

    file_id = studio.file(talks(2))
    job = studio.job(file_id)

    def remove(*_: object) -> None:
        studio.store.jobs.ask("default", job.id, "cancel")
        gone = studio.store.files.remove("default", file_id)
        assert gone is not None
        studio.place.blobs.remove(gone.blob)

    monkeypatch.setattr(taking, "check_room", remove)
    back_up(setup_of(studio), tmp_path / "out")
    restore(tmp_path / "out", tmp_path / "new")
    new = opened(tmp_path / "new", studio)
    assert new.found(job).status == "validating_files"
    failed = new.validated(job)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error["param"] == "training_file"
    assert failed.error["message"] == f"Training file {file_id} is not there any more."
