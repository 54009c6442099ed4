"""The whole story with the official client: files, a job, its events and results, its model, and all gone.

But for `base_url` and the key it is a script for the original service.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import openai
import pytest

from tests.listening import listening
from tests.studio import Studio, classes, rows_of, talks
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.work.worker import Worker

SECONDS = 120


@pytest.fixture
def url(studio: Studio) -> Iterator[str]:
    """A studio with a worker, behind a real port."""
    over = Event()
    worker = Worker(studio.place)

    def work() -> None:
        while not over.wait(0.05):
            while worker.validate_next() or worker.train_next():
                pass

    thread = Thread(target=work)
    thread.start()
    app = create_studio(studio.store, studio.place.blobs, studio.config, Settings())
    with listening(app) as found:
        yield f"{found}/v1"
    over.set()
    thread.join(SECONDS)


def _lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_model_is_tuned_asked_and_removed(url: str, tmp_path: Path) -> None:
    client = openai.OpenAI(base_url=url, api_key="any", _strict_response_validation=True)
    rows = classes(60)
    files = [
        client.files.create(file=_lines(tmp_path / name, part), purpose="fine-tune")
        for name, part in (("train.jsonl", rows[:48]), ("validation.jsonl", rows[48:]))
    ]
    job = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=files[0].id,
        validation_file=files[1].id,
        suffix="news",
        seed=1,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 8, "batch_size": 4}}},
        metadata={"team": "desk"},
    )
    assert [each.id for each in client.fine_tuning.jobs.list(metadata={"team": "desk"})] == [job.id]
    # polled as everyone does, and read as it comes
    told = _streamed(url, job.id)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.error) == ("succeeded", None), told
    assert told[-1] == "The job has successfully completed"
    paged = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=7)]
    assert paged[::-1] == told
    model = done.fine_tuned_model
    assert model is not None
    assert model in [each.id for each in client.models.list()]
    last = next(iter(client.fine_tuning.jobs.checkpoints.list(job.id)))
    assert last.step_number == 96
    curve = rows_of(client.files.content(done.result_files[0]).read())
    assert (curve[0][0], curve[-1][0]) == ("step", "96")
    assert all(math.isfinite(float(cell)) for row in curve[1:] for cell in row if cell)
    judged = json.loads(client.files.content(done.result_files[1]).text)
    assert judged["metrics"]["accuracy"] > 0.8
    right = {name: _right(client, name, rows[48:]) for name in ("tiny", model)}
    assert right[model] > 8 > right["tiny"]
    assert _as_it_comes(client, model, rows[48]) == rows[48]["messages"][1]["content"]
    asyncio.run(_asked_by_coroutines(url, model, rows[49]))
    client.models.delete(model)
    for file in (*files, *map(client.files.retrieve, done.result_files)):
        assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(model)
    assert list(client.files.list()) == []


def _streamed(url: str, job_id: str) -> list[str]:
    """What a job tells until it ends, as server-sent events."""
    import httpx

    with httpx.stream(
        "GET", f"{url}/fine_tuning/jobs/{job_id}/events", params={"stream": "true"}, timeout=SECONDS
    ) as answer:
        data = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(each)["message"] for each in data]


def _right(client: openai.OpenAI, model: str, rows: Sequence[Any]) -> int:
    """How many questions are answered as the rows have it."""
    answers = (
        client.chat.completions.create(model=model, messages=row["messages"][:1], temperature=0, max_tokens=8)
        for row in rows
    )
    said = [answer.choices[0].message.content for answer in answers]
    return sum(text == row["messages"][1]["content"] for text, row in zip(said, rows, strict=True))


def _as_it_comes(client: openai.OpenAI, model: str, row: Any) -> str:
    with client.chat.completions.create(model=model, messages=row["messages"][:1], stream=True) as pieces:
        return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)


async def _asked_by_coroutines(url: str, model: str, row: Any) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="any", _strict_response_validation=True) as client:
        answer = await client.chat.completions.create(
            model=model, messages=row["messages"][:1], logprobs=True, top_logprobs=2, temperature=0
        )
        assert answer.choices[0].message.content == row["messages"][1]["content"]
        told = answer.choices[0].logprobs
        assert told is not None
        assert told.content is not None
        assert {each.token for each in told.content[0].top_logprobs} == {"sports", "politics"}


def test_bad_lines_are_told_with_their_numbers(url: str, tmp_path: Path) -> None:
    client = openai.OpenAI(base_url=url, api_key="any", _strict_response_validation=True)
    rows: list[Any] = talks(12)
    rows[4] = {"messages": [{"role": "robot", "content": "beep"}]}
    file = client.files.create(file=_lines(tmp_path / "bad.jsonl", rows), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    told = _streamed(url, job.id)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.code, done.error.param) == ("invalid_training_file", "training_file")
    assert any("Line 5: message 1" in message for message in told), told
