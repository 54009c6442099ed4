"""The official client, in strict mode, against a studio that listens: every method, every answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.integration.studio.routes.conftest import LINES, Live
from tunesmith.studio.ids import checkpoint_model, model_name, new_id
from tunesmith.studio.store.queue import Held
from tunesmith.studio.types import Checkpoint, File, Model


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[OpenAI]:
    with live.client() as made:
        yield made


@pytest.fixture(scope="module")
def file_id(client: OpenAI) -> str:
    return client.files.create(file=("train.jsonl", LINES), purpose="fine-tune").id


def worked(live: Live, job_id: str, work: Callable[[Held], None]) -> None:
    """Do what a worker would, once the job is validated."""
    job = live.store.jobs.find("default", job_id)
    assert job is not None
    while (claim := live.store.queue.claim_to_validate("a worker")) is not None:
        with live.store.queue.held(claim.lease) as held:
            held.release("queued")
    while (claim := live.store.queue.claim_to_train("a worker")) is not None:
        with live.store.queue.held(claim.lease) as held:
            if claim.job.id == job_id:
                work(held)
                return
            held.release("failed", error={"code": "left", "message": "not this one", "param": None})
    raise AssertionError("the job is not in the queue")


def test_a_file_comes_and_goes(client: OpenAI, live: Live) -> None:
    made = client.files.create(
        file=("train.jsonl", LINES),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.bytes, made.filename, made.purpose, made.status) == (
        *(len(LINES), "train.jsonl", "fine-tune"),
        "processed",
    )
    assert made.expires_at == made.created_at + 3600
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == LINES
    stored = live.store.files.find("default", made.id)
    assert stored is not None
    assert stored.sha256 == hashlib.sha256(LINES).hexdigest()
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    assert f"files/{made.id}" not in live.kept()


def test_files_are_listed_by_page(client: OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data").id for n in range(5)]
    newest = client.files.list(limit=2, purpose="user_data")
    assert [file.id for file in newest.data] == made[:2:-1]
    # the client goes on from page to page by itself
    assert [file.id for file in newest] == made[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc", purpose="user_data")] == made


def test_a_file_comes_in_parts(client: OpenAI, live: Live) -> None:
    upload = client.uploads.create(
        bytes=10, filename="big.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    assert (upload.status, upload.bytes) == ("pending", 10)
    late, early = (client.uploads.parts.create(upload.id, data=data).id for data in (b"56789", b"01234"))
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[early])
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[early, early])
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[early, late], md5="0" * 32)
    md5 = hashlib.md5(b"0123456789").hexdigest()
    done = client.uploads.complete(upload.id, part_ids=[early, late], md5=md5)
    assert done.status == "completed"
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"0123456789"
    assert not [name for name in live.kept() if name.startswith("parts/")]
    # asked again, since its answer was lost: the same
    assert client.uploads.complete(upload.id, part_ids=[early, late]).file == done.file
    with pytest.raises(openai.BadRequestError):
        client.uploads.cancel(upload.id)


def test_an_upload_that_is_cancelled_leaves_nothing(client: OpenAI, live: Live) -> None:
    upload = client.uploads.create(bytes=10, filename="big", mime_type="text/plain", purpose="user_data")
    client.uploads.parts.create(upload.id, data=b"01234")
    assert client.uploads.cancel(upload.id).status == "cancelled"
    assert client.uploads.cancel(upload.id).status == "cancelled"
    assert not [name for name in live.kept() if name.startswith("parts/")]
    with pytest.raises(openai.BadRequestError):
        client.uploads.parts.create(upload.id, data=b"56789")


def test_the_client_s_own_helper_sends_a_file_in_parts(client: OpenAI) -> None:
    done = client.uploads.upload_file_chunked(
        file=LINES,
        filename="a.jsonl",
        bytes=len(LINES),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=100,
    )
    assert done.file is not None
    assert client.files.content(done.file.id).read() == LINES


def test_a_job_is_made_as_the_contract_says(client: OpenAI, file_id: str) -> None:
    made = client.fine_tuning.jobs.create(
        model="embedded",
        training_file=file_id,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        suffix="news",
        metadata={"team": "red"},
    )
    assert made.object == "fine_tuning.job"
    assert made.status == "validating_files"
    assert made.error is None
    assert made.hyperparameters.n_epochs == 2
    assert made.hyperparameters.batch_size == "auto"
    assert made.method is not None
    assert made.method.type == "supervised"
    assert made.organization_id == "org-default"
    assert made.seed >= 0
    assert made.metadata == {"team": "red"}
    assert client.fine_tuning.jobs.retrieve(made.id) == made
    told = client.fine_tuning.jobs.list_events(made.id).data
    assert [event.message for event in told] == [
        f"Validating training file: {file_id}",
        f"Created fine-tuning job: {made.id}",
    ]
    assert client.fine_tuning.jobs.cancel(made.id).status == "cancelled"


def test_the_older_form_and_preferences(client: OpenAI, file_id: str) -> None:
    older = client.fine_tuning.jobs.create(
        model="org/base", training_file=file_id, hyperparameters={"n_epochs": 3}, seed=7
    )
    assert (older.hyperparameters.n_epochs, older.seed) == (3, 7)
    pairs = client.fine_tuning.jobs.create(
        model="embedded",
        training_file=file_id,
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.5}}},
    )
    assert pairs.method is not None
    assert pairs.method.dpo is not None
    assert pairs.method.dpo.hyperparameters is not None
    assert pairs.method.dpo.hyperparameters.beta == 0.5
    for job in (older, pairs):
        client.fine_tuning.jobs.cancel(job.id)


def test_jobs_are_listed_by_their_metadata(client: OpenAI, file_id: str) -> None:
    made = [
        client.fine_tuning.jobs.create(model="embedded", training_file=file_id, metadata={"page": "yes"}).id
        for _ in range(3)
    ]
    found = client.fine_tuning.jobs.list(limit=2, metadata={"page": "yes"})
    assert len(found.data) == 2
    assert [job.id for job in found] == made[::-1]
    for job_id in made:
        client.fine_tuning.jobs.cancel(job_id)
    bare = client.fine_tuning.jobs.create(model="embedded", training_file=file_id)
    client.fine_tuning.jobs.cancel(bare.id)
    without = client.fine_tuning.jobs.list(extra_query={"metadata": "null"})
    assert bare.id in [job.id for job in without]
    assert not {*made} & {job.id for job in without}


def test_a_job_is_paused_and_goes_on(client: OpenAI, live: Live, file_id: str) -> None:
    job = client.fine_tuning.jobs.create(model="embedded", training_file=file_id)
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.pause(job.id)
    while (claim := live.store.queue.claim_to_validate("a worker")) is not None:
        with live.store.queue.held(claim.lease) as held:
            held.release("queued")
    # the client's own types do not know this state, which the contract has
    with live.client(_strict_response_validation=False) as lenient:
        assert lenient.fine_tuning.jobs.pause(job.id).to_dict()["status"] == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.resume(job.id)
    client.fine_tuning.jobs.cancel(job.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.cancel(job.id)
    assert caught.value.code == "wrong-state"


def test_what_a_job_made_is_told(client: OpenAI, live: Live, file_id: str) -> None:
    job = client.fine_tuning.jobs.create(model="embedded", training_file=file_id, suffix="news")
    name = model_name("embedded", "default", "news", job.id)
    result = File(new_id("file"), "default", 0, "results.csv", "fine-tune-results", 4, "0" * 64, "files/none")

    def work(held: Held) -> None:
        step = checkpoint_model(name, 4)
        metrics = {"step": 4, "train_loss": 0.5, "train_mean_token_accuracy": 0.75}
        held.add(Checkpoint(new_id("checkpoint"), job.id, int(held.now), 4, step, metrics))
        held.tell("Step 4/4: training loss=0.50", data={"step": 4}, metrics=True)
        held.add(result)
        for model in (name, step):
            held.add(Model(model, "default", int(held.now), job.id, "embedded", "writer", f"models/{job.id}"))
        held.release("succeeded", fine_tuned_model=name, result_files=[result.id], trained_tokens=99)

    worked(live, job.id, work)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.fine_tuned_model, done.trained_tokens) == ("succeeded", name, 99)
    assert done.result_files == [result.id]
    assert done.finished_at is not None
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert checkpoint.fine_tuned_model_checkpoint == checkpoint_model(name, 4)
    assert checkpoint.metrics.train_loss == 0.5
    newest = client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (newest.type, newest.data) == ("metrics", {"step": 4})
    assert [model.id for model in client.models.list()][:2] == ["embedded", "org/base"]
    assert client.models.retrieve(name).owned_by == "default"
    assert client.models.retrieve("org/base").owned_by == "tunesmith"
    more = client.fine_tuning.jobs.create(model=name, training_file=file_id)
    with pytest.raises(openai.BadRequestError):
        client.models.delete(name)
    client.fine_tuning.jobs.cancel(more.id)
    assert client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(name)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("embedded")


def test_a_job_that_failed_says_why(client: OpenAI, live: Live, file_id: str) -> None:
    job = client.fine_tuning.jobs.create(model="embedded", training_file=file_id)
    error = {"code": "invalid_training_file", "message": "too few", "param": "training_file"}
    worked(live, job.id, lambda held: held.release("failed", error=error))
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert failed.error is not None
    assert failed.error.model_dump() == error


def test_a_file_that_an_open_job_reads_stays(client: OpenAI) -> None:
    file = client.files.create(file=("train.jsonl", LINES), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="embedded", training_file=file.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.delete(file.id)
    assert caught.value.code == "in-use"
    client.fine_tuning.jobs.cancel(job.id)
    assert client.files.delete(file.id).deleted


BAD_JOBS: dict[str, dict[str, object]] = {
    "model": {"model": "gpt-unknown"},
    "training_file": {"training_file": "file-unknown"},
    "validation_file": {"validation_file": "file-" + "0" * 24},
    "suffix": {"suffix": "a/b"},
    "seed": {"seed": 2**31},
    "hyperparameters.n_epochs": {"hyperparameters": {"n_epochs": 51}},
    "hyperparameters.batch_size": {"hyperparameters": {"batch_size": True}},
    "hyperparameters.learning_rate_multiplier": {"hyperparameters": {"learning_rate_multiplier": 0}},
    "method.type": {"method": {"type": "reinforcement"}},
    "method.dpo.hyperparameters.beta": {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.1}}}},
    "method.dpo": {"method": {"type": "supervised", "dpo": {}}},
    "method.supervised.hyperparameters.beta": {
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"beta": 1}}}
    },
    "hyperparameters": {"method": {"type": "supervised"}, "hyperparameters": {"n_epochs": 1}},
    "metadata": {"metadata": {str(number): "" for number in range(17)}},
    "metadata.k": {"metadata": {"k": "v" * 513}},
    "integrations": {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
    "surprise": {"surprise": 1},
}


@pytest.mark.parametrize("param", BAD_JOBS)
def test_what_cannot_be_trained_is_refused_by_its_field(client: OpenAI, file_id: str, param: str) -> None:
    body = {"model": "embedded", "training_file": file_id, **BAD_JOBS[param]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_nulls_are_as_good_as_nothing(client: OpenAI, file_id: str) -> None:
    names = ("validation_file", "suffix", "seed", "metadata", "integrations", "method", "hyperparameters")
    body = {"model": "embedded", "training_file": file_id, **dict.fromkeys(names)}
    made = client.post("/fine_tuning/jobs", body=body, cast_to=openai.types.fine_tuning.FineTuningJob)
    assert made.metadata is None
    client.fine_tuning.jobs.cancel(made.id)


def test_the_asynchronous_client(live: Live) -> None:
    async def use() -> None:
        async with AsyncOpenAI(
            api_key="none", base_url=f"{live.url}/v1", _strict_response_validation=True
        ) as client:
            file = await client.files.create(file=("train.jsonl", LINES), purpose="fine-tune")
            assert file.id in [each.id async for each in client.files.list(limit=1)]
            assert (await client.files.content(file.id)).read() == LINES
            job = await client.fine_tuning.jobs.create(model="embedded", training_file=file.id)
            assert (await client.fine_tuning.jobs.retrieve(job.id)).id == job.id
            assert job.id in [each.id async for each in client.fine_tuning.jobs.list(limit=1)]
            assert len((await client.fine_tuning.jobs.list_events(job.id)).data) == 2
            assert (await client.fine_tuning.jobs.checkpoints.list(job.id)).data == []
            assert (await client.fine_tuning.jobs.cancel(job.id)).status == "cancelled"
            upload = await client.uploads.create(
                bytes=1, filename="a", mime_type="text/plain", purpose="user_data"
            )
            part = await client.uploads.parts.create(upload.id, data=b"a")
            assert (await client.uploads.complete(upload.id, part_ids=[part.id])).file is not None
            assert (await client.files.delete(file.id)).deleted
            assert (await client.models.retrieve("embedded")).id == "embedded"

    asyncio.run(use())
