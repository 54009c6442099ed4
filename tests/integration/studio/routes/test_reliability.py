"""What happens when replies are lost, uploads are cut off, and callers are hostile."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.chaos.replies import Losing
from tests.integration.studio.routes.conftest import LINES, Live, MakeStudio
from tunesmith.studio.janitor import remove_expired, remove_orphans
from tunesmith.studio.types import Job

JOB = "/v1/fine_tuning/jobs"
NONE = "0" * 24


class Answering(httpx.BaseTransport):
    """Answers everything with one status."""

    def __init__(self, status: int) -> None:
        self.status, self.tries = status, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tries += 1
        return httpx.Response(self.status, json={"error": {}}, request=request)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends again without waiting."""
    monkeypatch.setattr(OpenAI, "_calculate_retry_timeout", lambda *_args, **_options: 0.0)


@pytest.fixture
def make_client(live: Live) -> Iterator[Callable[[httpx.BaseTransport], OpenAI]]:
    made = []

    def make(transport: httpx.BaseTransport) -> OpenAI:
        made.append(live.client(http_client=httpx.Client(transport=transport)))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def file_id(live: Live) -> str:
    with live.client() as client:
        return client.files.create(file=("train.jsonl", LINES), purpose="fine-tune").id


def test_other_posts_may_be_sent_again_too(
    live: Live, file_id: str, make_client: Callable[[httpx.BaseTransport], OpenAI]
) -> None:
    client = make_client(Losing())
    before = len(live.store.files.page("default", purpose=None, after=None, limit=999, order="desc").data)
    made = [client.files.create(file=("a.txt", b"the same"), purpose="user_data").id for _ in range(5)]
    assert len(set(made)) == 5
    after = live.store.files.page("default", purpose=None, after=None, limit=999, order="desc").data
    assert len(after) == before + 5
    assert {name for name in live.kept() if name.startswith("files/")} == {file.blob for file in after}
    job = client.fine_tuning.jobs.create(model="embedded", training_file=file_id)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    upload = client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="user_data")
    part = client.uploads.parts.create(upload.id, data=b"a")
    assert client.uploads.complete(upload.id, part_ids=[part.id]).file is not None


@pytest.mark.parametrize(
    ("status", "tries"),
    [(400, 1), (401, 1), (403, 1), (404, 1), (413, 1), (408, 3), (429, 3), (500, 3), (507, 3)],
)
def test_the_client_sends_again_what_may_fare_better(
    make_client: Callable[[httpx.BaseTransport], OpenAI], status: int, tries: int
) -> None:
    transport = Answering(status)
    with pytest.raises(openai.APIStatusError):
        make_client(transport).files.list()
    assert transport.tries == tries


def test_equal_requests_at_once_with_one_key_make_one_job(live: Live, file_id: str) -> None:
    body = {"model": "embedded", "training_file": file_id, "suffix": "one"}
    together = Barrier(8)

    def send() -> httpx.Response:
        with live.http() as client:
            together.wait(20)
            return client.post(JOB, json=body, headers={"Idempotency-Key": "mine"})

    with ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(send) for _ in range(8)]]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    with live.http() as client:
        other = client.post(JOB, json=body | {"suffix": "two"}, headers={"Idempotency-Key": "mine"})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "key-reused")


def form(
    data: bytes, boundary: bytes = b"b", filename: bytes = b"a.txt", purpose: bytes = b"fine-tune"
) -> bytes:
    part = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    field = part % (boundary, b"purpose", b"", purpose)
    file = part % (boundary, b"file", b'; filename="%b"' % filename, data)
    return field + file + b"--%b--\r\n" % boundary


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def refused(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"]
    return response.status_code, error["code"]


HOSTILE: dict[str, tuple[bytes, dict[str, str], tuple[int, str]]] = {
    "no form": (b"{}", {"Content-Type": "application/json"}, (415, "not-a-form")),
    "no boundary": (b"", {"Content-Type": "multipart/form-data"}, (415, "not-a-form")),
    "garbage": (b"\x00\xff" * 100, FORM, (400, "bad-form")),
    "empty": (b"", FORM, (400, "bad-form")),
    "compressed": (form(b"x"), FORM | {"Content-Encoding": "gzip"}, (415, "encoded-body")),
    # whole by its length
    "no end": (form(b"x")[:-7], FORM, (400, "bad-form")),
    "no file": (form(b"x").replace(b'; filename="a.txt"', b""), FORM, (400, "bad-field")),
    "empty file": (form(b""), FORM, (400, "bad-field")),
    "unknown purpose": (form(b"x", purpose=b"evil"), FORM, (400, "bad-field")),
    "no purpose": (form(b"x").replace(b'name="purpose"', b'name="surprise"'), FORM, (400, "unknown-field")),
    "endless header": (b"--b\r\nContent-Disposition: " + b"x" * 100_000, FORM, (400, "bad-form")),
    "many parts": (form(b"x")[:-7] + form(b"x")[:-7] * 20, FORM, (400, "bad-form")),
    "long field": (form(b"x", purpose=b"x" * 5000), FORM, (400, "bad-form")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_form_is_refused_and_leaves_nothing(live: Live, name: str) -> None:
    body, headers, answer = HOSTILE[name]
    before = live.kept()
    with live.http() as client:
        assert refused(client.post("/v1/files", content=body, headers=headers)) == answer
    assert live.kept() == before


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "a\0b", "=cmd()", "<script>", "x" * 3000, "naïve \U0001f600.jsonl", ""]
)
def test_a_file_name_is_told_and_never_used(live: Live, filename: str) -> None:
    with live.http() as client:
        body = form(b"x", filename=filename.encode())
        made = client.post("/v1/files", content=body, headers=FORM).json()
        assert made["filename"].replace("\ufffd", "\0") == filename[:255]
        given = client.get(f"/v1/files/{made['id']}/content", headers={"Accept": "application/binary"})
        assert given.headers["content-disposition"].startswith("attachment; filename*=utf-8''")
        assert given.headers["x-content-type-options"] == "nosniff"
        assert given.content == b"x"
    assert f"files/{made['id']}" in live.kept()


BODIES: dict[str, tuple[str | bytes, tuple[int, str]]] = {
    "no JSON": ("{", (400, "bad-body")),
    "a list": ("[]", (400, "bad-body")),
    "NaN": ('{"seed": NaN}', (400, "bad-body")),
    "twice": ('{"seed": 1, "seed": 2}', (400, "bad-body")),
    "deep": ('{"metadata": ' + "[" * 100_000, (400, "bad-body")),
    "digits": ('{"seed": ' + "9" * 5000 + "}", (400, "bad-body")),
    "infinite": (
        '{"model":"embedded","training_file":"x","hyperparameters":{"learning_rate_multiplier":1e999}}',
        (400, "bad-field"),
    ),
    "half a character": ('{"model": "\\ud800", "training_file": "x"}', (400, "bad-body")),
    "NUL": ('{"model": "a\\u0000b", "training_file": "x"}', (400, "bad-field")),
    "not UTF-8": (b'{"model": "\xff"}', (400, "bad-body")),
    "nothing": ("{}", (400, "missing-field")),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused(live: Live, name: str) -> None:
    body, answer = BODIES[name]
    with live.http() as client:
        response = client.post(JOB, content=body, headers={"Content-Type": "application/json"})
        assert refused(response) == answer


ROUTES = [
    *(("GET", f"/v1/files/{{file}}{rest}") for rest in ("", "/content")),
    ("DELETE", "/v1/files/{file}"),
    *(("POST", f"/v1/uploads/{{upload}}/{act}") for act in ("parts", "complete", "cancel")),
    *(("GET", f"{JOB}/{{job}}{rest}") for rest in ("", "/events", "/events?stream=true", "/checkpoints")),
    *(("POST", f"{JOB}/{{job}}/{act}") for act in ("cancel", "pause", "resume")),
    ("GET", "/v1/models/{model}"),
    ("DELETE", "/v1/models/{model}"),
]


@pytest.fixture(scope="module")
def apart(make_studio: MakeStudio) -> Live:
    return make_studio(projects=("red", "blue"))


@pytest.fixture(scope="module")
def of_red(apart: Live) -> dict[str, str]:
    """Ids of what one project has."""
    from tunesmith.studio.store.rows import add
    from tunesmith.studio.store.tables import models
    from tunesmith.studio.types import Model

    with apart.client("red") as client:
        file = client.files.create(file=("canary-name.jsonl", LINES), purpose="fine-tune").id
        about: Any = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "user_data"}
        job = client.fine_tuning.jobs.create(
            model="embedded", training_file=file, metadata={"canary-meta": "canary-value"}
        ).id
        upload = client.uploads.create(**about).id
    model = Model("ft:embedded:red::1", "red", 0, job, "embedded", "writer", "models/red")
    with apart.store._database.writing() as connection:
        add(connection, models, model)
    return {"file": file, "job": job, "upload": upload, "model": model.id}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_is_another_project_s_is_not_there(
    apart: Live, of_red: dict[str, str], method: str, path: str
) -> None:
    unknown = {
        "file": f"file-{NONE}",
        "job": f"ftjob-{NONE}",
        "upload": f"upload_{NONE}",
        "model": "ft:a:b::c",
    }
    body: dict[str, Any] = {"content": form(b"x"), "headers": FORM} if path.endswith("parts") else {}
    with apart.http("blue") as client:
        foreign = client.request(method, path.format(**of_red), **body)
        none = client.request(method, path.format(**unknown), **body)
    assert foreign.status_code == none.status_code == 404
    assert foreign.json() == none.json()


def test_no_list_and_no_body_reaches_another_project(apart: Live, of_red: dict[str, str]) -> None:
    with apart.http("blue") as client:
        for path in ("/v1/files", JOB, "/v1/models"):
            assert of_red["file"] not in (said := client.get(path).text)
            assert of_red["job"] not in said
            assert of_red["model"] not in said
        assert refused(client.get(f"/v1/files?after={of_red['file']}")) == (400, "bad-field")
        for values in (
            {"model": "embedded", "training_file": of_red["file"]},
            {"model": of_red["model"], "training_file": of_red["file"]},
        ):
            assert refused(client.post(JOB, json=values)) == (400, "not-for-training")


def test_without_a_key_nothing_is_told(apart: Live) -> None:
    with apart.http("nobody") as client:
        for path in ("/v1/files", JOB, "/v1/models", "/metrics"):
            assert refused(client.get(path)) == (401, "wrong-key")


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/files/..%2F..%2Fstudio.db", "/v1/files/file-..%2Fx/content", "/v1/files/file-%00/content"),
        *(
            "/v1/models/..%2F..%2Fetc%2Fpasswd",
            "/v1/models/%00",
            f"{JOB}/ftjob-%2e%2e",
            f"{JOB}/ftjob-{NONE}%0a",
        ),
    ],
)
def test_an_id_is_never_a_path(live: Live, path: str) -> None:
    with live.http() as client:
        assert client.get(path).status_code == 404


def test_foreign_pages_and_names_are_refused(live: Live) -> None:
    with live.http() as client:
        assert refused(client.get("/v1/files", headers={"Host": "evil.example"})) == (400, "unknown-host")
        foreign = client.post(JOB, json={}, headers={"Origin": "https://evil.example"})
        assert refused(foreign) == (403, "foreign-origin")
        assert refused(client.get("/v1/nothing")) == (404, "no-such-path")
        assert refused(client.put("/v1/files")) == (405, "wrong-method")
        assert refused(client.get("/v1/files?limit=0")) == (400, "bad-field")
        assert refused(client.get("/v1/files?order=up")) == (400, "bad-field")
        assert refused(client.get(f"{JOB}?surprise=1")) == (400, "unknown-field")


def test_the_log_holds_no_text_and_no_key(
    apart: Live, of_red: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("tunesmith.api")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    try:
        with apart.client("red") as client:
            client.files.create(file=("canary-name.jsonl", LINES), purpose="fine-tune")
            with pytest.raises(openai.BadRequestError):
                client.fine_tuning.jobs.create(
                    model="canary-model",
                    training_file=of_red["file"],
                    suffix="canary",
                    metadata={"canary": "x"},
                )
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve("canary/../model")
    finally:
        logger.removeHandler(caplog.handler)
    assert "/v1/files" in caplog.text
    assert "canary" not in caplog.text
    assert apart.keys["red"] not in caplog.text


def test_limits_hold(make_studio: MakeStudio) -> None:
    small = {"max_file_bytes": 1000, "max_part_bytes": 50, "project_bytes": 1500, "project_jobs": 1}
    live = make_studio(small)
    with live.client(max_retries=0) as client, live.http() as http:
        file = client.files.create(file=("a", b"x" * 1000), purpose="fine-tune")
        too_large = http.post("/v1/files", content=form(b"x" * 501), headers=FORM)
        assert refused(too_large) == (400, "project-full")
        client.fine_tuning.jobs.create(model="embedded", training_file=file.id)
        with pytest.raises(openai.RateLimitError):
            client.fine_tuning.jobs.create(model="embedded", training_file=file.id)
        upload = client.uploads.create(bytes=90, filename="a", mime_type="text/plain", purpose="user_data")
        with pytest.raises(openai.APIStatusError) as caught:
            client.uploads.parts.create(upload.id, data=b"x" * 51)
        assert caught.value.status_code == 413
        with pytest.raises(openai.BadRequestError):
            client.uploads.create(bytes=501, filename="a", mime_type="text/plain", purpose="user_data")
    with make_studio({"max_file_bytes": 1000}).http() as http:
        # far more than is too much, and still it is heard
        large = http.post("/v1/files", content=form(b"x" * 9_000_000), headers=FORM)
        assert refused(large) == (413, "body-too-large")


def test_a_full_disk_is_told(make_studio: MakeStudio) -> None:
    live = make_studio({"free_bytes": 1 << 60})
    with live.http() as client:
        assert refused(client.post("/v1/files", content=form(b"x"), headers=FORM)) == (507, "disk-low")
    assert live.kept() == []


def test_a_slow_sender_is_cut_off(make_studio: MakeStudio) -> None:
    live = make_studio(body_timeout_seconds=0.2)
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in FORM.items())
        connection.sendall(head.encode() + b"\r\n" + form(b"x")[:20])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 408")
    assert live.kept() == []


def test_the_janitor_takes_what_is_left(live: Live) -> None:
    with live.blobs.writing("files/file-orphan") as stream:
        stream.write(b"x")
    (live.directory / "blobs" / "files" / ".file-a.0123abcd.tmp").write_bytes(b"x")
    before = live.kept()
    now = (live.directory / "blobs" / "files" / "file-orphan").stat().st_mtime
    assert remove_orphans(live.store, live.blobs, now=now + 3000) == 0
    assert live.kept() == before
    with live.client() as client:
        kept = client.files.create(file=("a", b"x"), purpose="user_data").id
    assert remove_orphans(live.store, live.blobs, now=now + 4000) == 1
    gone = {"files/file-orphan", "files/.file-a.0123abcd.tmp"}
    assert set(live.kept()) == {*before, f"files/{kept}"} - gone
    assert remove_expired(live.store, live.blobs) == 0


def frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Server-sent events, as fields by name."""
    found: dict[str, str] = {}
    for line in lines:
        if not line and found:
            yield found
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


def test_events_are_streamed_until_the_job_ends(live: Live, file_id: str) -> None:
    with live.client() as client:
        job = client.fine_tuning.jobs.create(model="embedded", training_file=file_id)
        with live.http() as http, http.stream("GET", f"{JOB}/{job.id}/events?stream=true") as stream:
            told = frames(stream.iter_lines())
            first = next(told)
            assert json.loads(first["data"])["message"] == f"Created fine-tuning job: {job.id}"
            assert next(told)["data"]
            client.fine_tuning.jobs.cancel(job.id)
            rest = [each["data"] for each in told]
        assert json.loads(rest[0])["message"] == "Fine-tuning job cancelled"
        assert rest[1:] == ["[DONE]"]
        with live.http() as http:
            path = f"{JOB}/{job.id}/events?stream=true"
            again = http.get(path, headers={"Last-Event-ID": first["id"]})
            assert again.headers["content-type"].startswith("text/event-stream")
            assert len(list(frames(iter(again.text.split("\n"))))) == 3
            assert refused(http.get(path, headers={"Last-Event-ID": "none"})) == (400, "bad-field")


def test_who_hangs_up_frees_the_place(make_studio: MakeStudio) -> None:
    live = make_studio(max_streams=1)
    with live.client() as client, live.http() as http:
        file = client.files.create(file=("a", LINES), purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(model="embedded", training_file=file)
        path = f"{JOB}/{job.id}/events?stream=true"
        with live.http() as other, other.stream("GET", path) as stream:
            lines = stream.iter_lines()  # who drops it hangs up
            assert next(lines)
            assert refused(http.get(path)) == (429, "busy")
        for _ in range(1000):
            with http.stream("GET", path) as again:
                if again.status_code == 200:
                    break
        assert again.status_code == 200


def test_a_stream_that_the_server_ends_does_not_pass_for_whole(make_studio: MakeStudio) -> None:
    live = make_studio()
    with live.client() as client, live.http() as http:
        file = client.files.create(file=("a", LINES), purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(model="embedded", training_file=file)
        with http.stream("GET", f"{JOB}/{job.id}/events?stream=true") as stream:
            told = frames(stream.iter_lines())
            assert [next(told)["id"], next(told)["id"]]
            live.studio.drain()
            (last,) = [json.loads(each["data"]) for each in told]
        assert last["error"]["code"] == "draining"
        assert refused(http.post(JOB, json={})) == (503, "draining")
        assert http.get("/readyz").status_code == 503


def test_one_that_comes_again_waits_for_the_first(live: Live, file_id: str) -> None:
    arrived, go_on, add = Event(), Event(), live.store.jobs.add

    def slow(*args: Any, **options: Any) -> Job:
        arrived.set()
        assert go_on.wait(20)
        return add(*args, **options)

    def send(count: int) -> str:
        with live.http() as client:
            body = {"model": "embedded", "training_file": file_id, "suffix": "slow"}
            answer = client.post(JOB, json=body, headers={"x-stainless-retry-count": str(count)})
        return str(answer.json()["id"])

    with ThreadPoolExecutor(2) as pool:
        live.store.jobs.add = slow  # type: ignore[method-assign]
        try:
            first = pool.submit(send, 0)
            assert arrived.wait(20)
            again = pool.submit(send, 1)
            # it is there, and waits: nobody else has the first's turn
            while live.studio.turns.waiting < 2:
                assert not again.done()
        finally:
            live.store.jobs.add = add  # type: ignore[method-assign]
            go_on.set()
        assert first.result() == again.result()


def test_the_reference_tells_all_there_is(live: Live) -> None:
    with live.http() as client:
        schema, page = client.get("/openapi.json").json(), client.get("/docs")
    assert page.status_code == 200
    assert "Try the model" not in page.text
    for path in ("/v1/files", "/v1/uploads/{upload_id}/parts", JOB, f"{JOB}/{{job_id}}/events"):
        assert path in schema["paths"]
        assert path in page.text
    body = schema["paths"][JOB]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"model", "training_file"} == set(body["required"])
    operations = [each for path in schema["paths"].values() for each in path.values()]
    # 422 is what the framework says by itself, and our own word for a model that cannot be loaded
    told = {each["responses"]["422"]["description"] for each in operations if "422" in each["responses"]}
    assert told == {"bad-model"}
