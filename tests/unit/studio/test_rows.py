"""What is kept of each project, by page; and requests that come twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from tests.unit.studio.conftest import Clock
from tunesmith.errors import StorageError
from tunesmith.studio.ids import new_id
from tunesmith.studio.store import Store
from tunesmith.studio.store.job_rows import Gone
from tunesmith.studio.store.requests import REMEMBERED_SECONDS, Fingerprint, KeyReused
from tunesmith.studio.store.rows import InUse, NoRoom, NoSuchCursor
from tunesmith.studio.types import File, Job, Part, Upload

NewFile = Callable[..., File]
NewJob = Callable[..., Job]


def upload(**values: object) -> Upload:
    made = Upload(new_id("upload"), "default", 0, 0, "big.jsonl", "fine-tune", 20, "text/jsonl")
    return replace(made, **values)  # type: ignore[arg-type]


def part_of(upload_id: str) -> Part:
    name = new_id("part")
    return Part(name, upload_id, 0, 10, f"parts/{name}")


def test_files_are_listed_by_page_and_project(store: Store, a_file: NewFile) -> None:
    files = [store.files.add(a_file(filename=f"{number}.jsonl")) for number in range(5)]
    store.files.add(a_file("other"))
    first = store.files.page("default", purpose=None, after=None, limit=2, order="desc")
    assert [file.id for file in first.data] == [files[4].id, files[3].id]
    assert first.has_more
    last = store.files.page("default", purpose=None, after=files[1].id, limit=2, order="desc")
    assert [file.id for file in last.data] == [files[0].id]
    assert not last.has_more
    oldest = store.files.page("default", purpose=None, after=files[0].id, limit=9, order="asc")
    assert [file.id for file in oldest.data] == [file.id for file in files[1:]]


def test_an_error_of_the_database_tells_nothing_of_what_was_to_be_written(
    store: Store, a_file: NewFile
) -> None:
    kept = store.files.add(a_file(filename="canary.jsonl"))
    with pytest.raises(IntegrityError) as caught:
        store.files.add(kept)
    assert "canary" not in str(caught.value)


def test_a_cursor_of_another_project_is_none(store: Store, a_file: NewFile) -> None:
    foreign = store.files.add(a_file("other"))
    with pytest.raises(NoSuchCursor):
        store.files.page("default", purpose=None, after=foreign.id, limit=2, order="desc")


def test_a_foreign_file_is_not_there(store: Store, a_file: NewFile) -> None:
    mine = store.files.add(a_file())
    assert store.files.find("other", mine.id) is None
    assert store.files.remove("other", mine.id) is None
    assert store.files.find("default", mine.id) == mine


def test_files_expire(store: Store, clock: Clock, a_file: NewFile) -> None:
    file = store.files.add(a_file(expires_at=int(clock.seconds) + 10))
    assert store.files.find("default", file.id) is not None
    clock.seconds += 10
    assert store.files.find("default", file.id) is None
    assert store.files.page("default", purpose=None, after=None, limit=9, order="desc").data == ()
    assert [gone.id for gone in store.files.take_expired()] == [file.id]
    assert store.files.take_expired() == []


def test_a_file_does_not_expire_under_a_job_that_reads_it(
    store: Store, clock: Clock, a_file: NewFile, a_job: NewJob
) -> None:
    file = store.files.add(a_file(expires_at=int(clock.seconds) + 10))
    job = store.jobs.add(a_job(training_file=file.id))
    clock.seconds += 10
    assert store.files.find("default", file.id) is None
    assert store.files.take_expired() == []
    assert store.files.read_by(job, file.id) == file
    store.jobs.ask("default", job.id, "cancel")
    assert [gone.id for gone in store.files.take_expired()] == [file.id]
    assert store.files.read_by(job, file.id) is None


def test_a_request_that_comes_again_makes_nothing_new(store: Store, clock: Clock, a_job: NewJob) -> None:
    first = store.jobs.add(a_job(), Fingerprint("a" * 64, again=False))
    again = store.jobs.add(a_job(), Fingerprint("a" * 64, again=True))
    assert again.id == first.id
    # what says that it is the first is another one, however equal
    second = store.jobs.add(a_job(), Fingerprint("a" * 64, again=False))
    assert second.id != first.id
    assert store.jobs.add(a_job(), Fingerprint("a" * 64, again=True)).id == second.id
    clock.seconds += REMEMBERED_SECONDS + 1
    assert store.jobs.add(a_job(), Fingerprint("a" * 64, again=True)).id not in (first.id, second.id)


def test_the_same_request_of_another_project_is_another(store: Store, a_job: NewJob) -> None:
    mine = store.jobs.add(a_job(), Fingerprint("a" * 64, again=False))
    theirs = store.jobs.add(a_job("other"), Fingerprint("a" * 64, again=True))
    assert theirs.id != mine.id
    assert theirs.project == "other"


def test_jobs_are_found_by_their_metadata(store: Store, a_job: NewJob) -> None:
    red = store.jobs.add(a_job(metadata={"colour": "red", "run": "1"}))
    store.jobs.add(a_job(metadata={"colour": "blue"}))
    store.jobs.add(a_job())
    page = store.jobs.page("default", metadata={"colour": "red"}, after=None, limit=9)
    assert [job.id for job in page.data] == [red.id]
    assert page.data[0].metadata == {"colour": "red", "run": "1"}
    assert store.jobs.page("default", metadata={"colour": "red", "run": "2"}, after=None, limit=9).data == ()


def test_events_go_on_where_they_were_read(store: Store, a_job: NewJob) -> None:
    job = store.jobs.add(a_job())
    events, seq = store.jobs.events_since(job.id, 0)
    assert [event.message[:7] for event in events] == ["Created", "Validat"]
    assert store.jobs.events_since(job.id, seq) == ([], seq)
    newest = store.jobs.events(job.id, after=None, limit=1)
    assert newest.has_more
    assert newest.data[0].id == events[1].id


def test_an_upload_becomes_a_file_once(store: Store, a_file: NewFile) -> None:
    begun = store.uploads.add(upload(), keep_seconds=100)
    kept = [store.uploads.add_part(part_of(begun.id)) for _ in range(2)]
    assert [part.id for part in store.uploads.parts_of(begun.id)] == [part.id for part in kept if part]
    file = store.uploads.complete(begun, a_file())
    assert file is not None
    assert store.uploads.complete(begun, a_file()) is None
    assert store.uploads.add_part(part_of(begun.id)) is None
    there = store.uploads.find("default", begun.id)
    assert there is not None
    assert (there.status, there.file_id) == ("completed", file.id)
    assert len(store.uploads.take_parts_of_ended()) == 2
    assert store.uploads.take_parts_of_ended() == []


def test_an_upload_expires_and_leaves_nothing(store: Store, clock: Clock) -> None:
    begun = store.uploads.add(upload(), keep_seconds=100)
    store.uploads.add_part(part_of(begun.id))
    assert store.files.bytes_of("default") == 10
    clock.seconds += 100
    assert store.uploads.add_part(part_of(begun.id)) is None
    there = store.uploads.find("default", begun.id)
    assert there is not None
    assert there.status == "expired"
    assert len(store.uploads.take_parts_of_ended()) == 1
    assert store.files.bytes_of("default") == 0
    assert not store.uploads.cancel(begun.id)


def test_the_store_is_there_when_it_is_opened_again(url: str, a_file: NewFile) -> None:
    first = Store(url)
    file = first.files.add(a_file())
    first.close()
    again = Store(url)
    assert again.files.find("default", file.id) == file
    assert again.blobs() == {file.blob}
    again.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://somewhere/db", "sqlite:////nowhere/at/all.db"])
def test_a_place_that_cannot_be_used_is_one_clear_error(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        Store(url)
    assert caught.value.problems[0].code == "bad-store"


def test_a_database_of_another_version_is_refused(url: str) -> None:
    store = Store(url)
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE about SET value = '99'")
    store.close()
    with pytest.raises(StorageError) as caught:
        Store(url)
    assert caught.value.problems[0].code == "other-store-version"


def test_an_idempotency_key_stands_for_one_request_only(store: Store, a_job: NewJob) -> None:
    asked = Fingerprint("a" * 64, again=True, body="b" * 64, by_key=True)
    first = store.jobs.add(a_job(), asked)
    assert store.jobs.add(a_job(), asked).id == first.id
    with pytest.raises(KeyReused):
        store.jobs.add(a_job(), replace(asked, body="c" * 64))


@pytest.mark.parametrize("name", ['a"b', "a.b", "$", "a'b", "[0]", "ключ"])
def test_any_name_of_metadata_is_found(store: Store, a_job: NewJob, name: str) -> None:
    job = store.jobs.add(a_job(metadata={name: "1"}))
    store.jobs.add(a_job(metadata={"other": "1"}))
    bare = store.jobs.add(a_job())
    assert [
        each.id for each in store.jobs.page("default", metadata={name: "1"}, after=None, limit=9).data
    ] == [job.id]
    assert [each.id for each in store.jobs.page("default", metadata=None, after=None, limit=9).data] == [
        bare.id
    ]


def test_a_project_has_no_more_than_it_may(store: Store, a_file: NewFile, a_job: NewJob) -> None:
    store.files.add(a_file(), most_bytes=25)
    begun = store.uploads.add(upload(), keep_seconds=100)
    store.uploads.add_part(part_of(begun.id), most_bytes=25)
    with pytest.raises(NoRoom):
        store.files.add(a_file(), most_bytes=25)
    with pytest.raises(NoRoom):
        store.uploads.add_part(part_of(begun.id), most_bytes=25)
    store.files.add(a_file("other"), most_bytes=25)
    store.jobs.add(a_job(), most_open=1)
    with pytest.raises(NoRoom):
        store.jobs.add(a_job(), most_open=1)
    store.jobs.add(a_job("other"), most_open=1)


def test_what_an_open_job_needs_stays(store: Store, a_file: NewFile, a_job: NewJob) -> None:
    file = store.files.add(a_file())
    job = store.jobs.add(a_job(training_file=file.id), with_all=True)
    with pytest.raises(InUse) as caught:
        store.files.remove("default", file.id)
    assert caught.value.jobs == (job.id,)
    store.jobs.ask("default", job.id, "cancel")
    assert store.files.remove("default", file.id) == file
    for missing in ({"training_file": file.id}, {"model": "ft:a:b::c"}):
        there = {"training_file": store.files.add(a_file()).id}
        with pytest.raises(Gone) as gone:
            store.jobs.add(a_job(**{**there, **missing}), with_all=True)
        assert gone.value.field == next(iter(missing))


def test_a_file_expires_so_long_after_it_is_kept(store: Store, clock: Clock, a_file: NewFile) -> None:
    assert store.files.add(a_file(), keep_seconds=60).expires_at == int(clock.seconds) + 60
    begun = store.uploads.add(upload(keep_seconds=60), keep_seconds=100)
    clock.seconds += 5
    file = store.uploads.complete(begun, a_file())
    assert file is not None
    assert file.expires_at == int(clock.seconds) + 60


def test_events_are_found_again_by_their_id(store: Store, a_job: NewJob) -> None:
    job, other = store.jobs.add(a_job()), store.jobs.add(a_job())
    events, last = store.jobs.events_since(job.id, 0)
    number = store.jobs.number_of(job.id, events[0].id)
    assert number is not None
    assert store.jobs.events_since(job.id, number) == ([events[1]], last)
    assert store.jobs.number_of(other.id, events[0].id) is None


def test_those_who_come_at_once_do_not_pass_a_limit_together(store: Store, a_file: NewFile) -> None:
    def add(_: int) -> bool:
        try:
            store.files.add(a_file(), most_bytes=50)
        except NoRoom:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(12))) == 5
