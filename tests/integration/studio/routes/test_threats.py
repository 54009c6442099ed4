"""Whatever route there is or will be: whose it is, what its answers carry, and how many at a time.

The routes are those of the app itself, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from tests.hostile import no_network
from tests.integration.studio.routes.conftest import LINES, Live, MakeStudio
from tunesmith.studio.ids import new_id
from tunesmith.studio.store.rows import add
from tunesmith.studio.store.tables import models
from tunesmith.studio.types import Model

JOBS = "/v1/fine_tuning/jobs"
UNKNOWN = {
    "file_id": f"file-{'0' * 24}",
    "job_id": f"ftjob-{'0' * 24}",
    "upload_id": f"upload_{'0' * 24}",
    "model": "ft:a:b::c",
}
"""What a path may name, and one of each that nobody has."""
NOBODYS = {"/static/{name}"}
"""Paths that name something which is no project's."""
PART: dict[str, Any] = {
    "content": b'--b\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\nx\r\n--b--\r\n',
    "headers": {"Content-Type": "multipart/form-data; boundary=b"},
}
FOREIGN = {"Origin": "https://evil.example"}


@pytest.fixture(scope="module")
def live(make_studio: MakeStudio) -> Live:
    return make_studio(projects=("red", "blue"))


@pytest.fixture(scope="module")
def of_red(live: Live) -> dict[str, str]:
    """Ids of what one project has, by their names in paths."""
    with live.client("red") as client:
        file = client.files.create(file=("a.jsonl", LINES), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model="embedded", training_file=file.id)
        upload = client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="user_data")
    name = f"ft:embedded:red::{job.id[-8:]}"
    model = Model(name, "red", 0, job.id, "embedded", "writer", f"models/{job.id}")
    with live.store._database.writing() as connection:
        add(connection, models, model)
    return {"file_id": file.id, "job_id": job.id, "upload_id": upload.id, "model": model.id}


def routes(live: Live) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path, and what the path names."""
    for route in live.app.routes:
        assert isinstance(route, Route), "what is no route is not looked at here"
        path = re.sub(r":\w+}", "}", route.path)
        for method in sorted(route.methods or ()):
            yield method, path, re.findall(r"{(\w+)}", path)


def test_no_route_tells_of_what_is_another_project_s(live: Live, of_red: dict[str, str]) -> None:
    looked_at = 0
    with live.http("blue") as client:
        for method, path, names in routes(live):
            if not names or path in NOBODYS:
                continue
            assert set(names) <= UNKNOWN.keys(), f"{path} names something new: say here whose it is"
            body: dict[str, Any] = PART if path.endswith("/parts") else {}
            foreign = client.request(method, path.format(**of_red), **body)
            none = client.request(method, path.format(**UNKNOWN), **body)
            assert (foreign.status_code, none.status_code) == (404, 404), (method, path, foreign.text)
            assert foreign.content == none.content
            looked_at += method != "HEAD"
    assert looked_at >= 15
    with live.client("red") as client:  # and all of it is still there
        assert client.fine_tuning.jobs.retrieve(of_red["job_id"]).status == "validating_files"
        assert client.uploads.cancel(of_red["upload_id"]).status == "cancelled"
        assert client.files.retrieve(of_red["file_id"]).id
        assert client.models.retrieve(of_red["model"]).id


def test_no_field_and_no_query_reaches_what_is_another_project_s(live: Live, of_red: dict[str, str]) -> None:
    with live.client("blue") as client, live.http("blue") as http:
        own = client.files.create(file=("b.jsonl", LINES), purpose="fine-tune").id
        upload = client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="user_data")
        job = client.fine_tuning.jobs.create(model="embedded", training_file=own).id
        with live.client("red") as red:
            theirs = red.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="user_data")
            part = red.uploads.parts.create(theirs.id, data=b"x").id
            event = next(iter(red.fine_tuning.jobs.list_events(of_red["job_id"]))).id
        model, file = of_red["model"], of_red["file_id"]
        said: list[Any] = [{"role": "user", "content": "a"}]
        asked: list[tuple[str, Any, Any]] = [
            (JOBS, {"model": "embedded", "training_file": file}, UNKNOWN["file_id"]),
            (
                JOBS,
                {"model": "embedded", "training_file": own, "validation_file": file},
                UNKNOWN["file_id"],
            ),
            (JOBS, {"model": model, "training_file": own}, UNKNOWN["model"]),
            (f"/v1/uploads/{upload.id}/complete", {"part_ids": [part]}, new_id("part")),
            ("/v1/chat/completions", {"model": model, "messages": said}, UNKNOWN["model"]),
            ("/v1/completions", {"model": model, "prompt": "a"}, UNKNOWN["model"]),
            ("/v1/classify", {"model": model, "input": "a"}, UNKNOWN["model"]),
        ]
        for path, body, unknown in asked:
            written = json.dumps(body)
            for theirs_id in (file, model, part):
                written = written.replace(theirs_id, unknown)
            foreign, none = http.post(path, json=body), http.post(path, json=json.loads(written))
            assert foreign.status_code in (400, 404), (path, foreign.text)
            assert (foreign.status_code, foreign.content) == (none.status_code, none.content), path
        for path, after in (
            ("/v1/files", file),
            (JOBS, of_red["job_id"]),
            (f"{JOBS}/{job}/events", event),
            (f"{JOBS}/{job}/checkpoints", new_id("checkpoint")),
        ):
            refused = http.get(path, params={"after": after})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad-field"), path


def test_what_is_remembered_is_remembered_for_its_project(live: Live) -> None:
    """Requests that come again, and checks of files: the same bytes of two projects are two things."""
    made = {}
    for project in ("red", "blue"):
        with live.client(project) as client, live.http(project) as http:
            again = {"Idempotency-Key": "the-same", "x-stainless-retry-count": "1"}
            file = client.files.create(file=("same", LINES), purpose="fine-tune", extra_headers=again)
            job = client.fine_tuning.jobs.create(
                model="embedded", training_file=file.id, extra_headers={"Idempotency-Key": "the-same"}
            )
            made[project] = (file.id, job.id)
            assert http.get(f"/v1/files/{file.id}/check").status_code == 200
    assert len({*made["red"], *made["blue"]}) == 4
    checked = {project for project, _ in live.app.state.checks._found}
    assert checked == {"red", "blue"}


def test_every_answer_carries_what_keeps_pages_apart(live: Live, of_red: dict[str, str]) -> None:
    with live.http("red") as client:
        answers = [
            client.request(method, path.format(**{"name": "x", **of_red}), headers=headers)
            for method, path, _ in routes(live)
            for headers in (FOREIGN, {})
            # what is removed is not there for the others
            if not (method == "DELETE" and not headers)
        ]
        answers += [client.get("/v1/nothing"), client.put("/v1/files"), client.get("/static/studio.js")]
        answers += [client.options(path, headers={**FOREIGN, **ASKED}) for path in ("/v1/files", JOBS)]
    assert len(answers) > 50
    for answer in answers:
        headers = answer.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert not [name for name in headers if name.startswith("access-control")]
        kind = headers.get("content-type", "")
        assert not kind.startswith("text/html") or answer.url.path in ("/", "/docs"), answer.url
    assert {answer.status_code for answer in answers if answer.request.method == "OPTIONS"} == {405}


ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def test_pages_of_other_sites_change_nothing(live: Live, of_red: dict[str, str]) -> None:
    with live.http("red") as client:
        for method, path, _ in routes(live):
            if method in ("GET", "HEAD"):
                continue
            answer = client.request(method, path.format(**of_red), headers=FOREIGN)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign-origin"), path


def test_without_a_key_only_what_tells_nothing_is_there(live: Live, of_red: dict[str, str]) -> None:
    open_to_all = {"/", "/docs", "/openapi.json", "/healthz", "/readyz", *NOBODYS}
    with httpx.Client(base_url=live.url) as client:
        for method, path, _ in routes(live):
            answer = client.request(method, path.format(**{"name": "x", **of_red}))
            assert (answer.status_code == 401) == (path not in open_to_all), (method, path)


def test_what_a_stranger_called_it_stays_data(live: Live) -> None:
    """A file that would be a page is saved and not shown, whatever it is called."""
    name = '"><script>alert(1)</script>\r\nX: y.html'
    with live.http("red") as client:
        sent = client.post("/v1/files", content=_form(b"<script>a.html"), headers=PART["headers"]).json()
        about = {"bytes": 1, "filename": name, "mime_type": "text/html", "purpose": "user_data"}
        upload = client.post("/v1/uploads", json=about).json()["id"]
        part = client.post(f"/v1/uploads/{upload}/parts", **PART).json()["id"]
        whole = client.post(f"/v1/uploads/{upload}/complete", json={"part_ids": [part]}).json()["file"]
        assert whole["filename"] == name
        for file in (sent, whole):
            given = client.get(f"/v1/files/{file['id']}/content")
            assert given.headers["content-type"] == "application/octet-stream"
            disposition = given.headers["content-disposition"]
            assert disposition.startswith("attachment; ")
            assert not set('<>"\r\n') & set(disposition.removeprefix("attachment; "))
            assert "x" not in given.headers
        # and a suffix that could end a name or an attribute is none
        for suffix in ("<b>", '"', "a:b", "a/b", "..", "=1+1", "a b", "\u202e"):
            job = {"model": "embedded", "training_file": sent["id"], "suffix": suffix}
            assert client.post(JOBS, json=job).json()["error"]["param"] == "suffix", suffix


def test_no_address_is_asked(live: Live) -> None:
    """A studio fetches nothing that a caller names."""
    addresses = ("http://127.0.0.1:9/a", "https://evil.example/a", "file:///etc/passwd", "//evil/a")
    with live.http("red") as client:
        file = client.post("/v1/files", content=_form(b"http://127.0.0.1:9/a"), headers=PART["headers"])
        assert file.json()["filename"] == "http://127.0.0.1:9/a"
        with no_network(but=httpx.URL(live.url).port) as asked:
            for address in addresses:
                part = {"type": "image_url", "image_url": {"url": address}}
                wandb = {"type": "wandb", "wandb": {"project": "a", "name": address}}
                job = {"model": "embedded", "training_file": file.json()["id"]}
                for path, body in (
                    (JOBS, {**job, "model": address}),
                    (JOBS, {**job, "training_file": address}),
                    (JOBS, {**job, "integrations": [wandb]}),
                    ("/v1/chat/completions", _said(address, address)),
                    ("/v1/chat/completions", _said("embedded", [part])),
                ):
                    assert client.post(path, json=body).status_code in (400, 404), (path, body)
    assert asked == []


def test_one_key_leaves_places_to_others(make_studio: MakeStudio) -> None:
    live = make_studio(projects=("red", "blue"), max_waiting_per_key=1)
    with live.client("red") as official:
        file = official.files.create(file=("a.jsonl", LINES), purpose="fine-tune").id
        job = official.fine_tuning.jobs.create(model="embedded", training_file=file).id
    with (
        live.http("red") as client,
        client.stream("GET", f"{JOBS}/{job}/events?stream=true") as events,
    ):
        lines = events.iter_lines()  # held: the stream ends with it
        next(lines)
        with live.http("red") as second, live.http("blue") as other:
            refused = second.get("/v1/files")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate-limited")
            assert refused.headers["retry-after"]
            assert other.get("/v1/files").status_code == 200


def _said(model: str, content: object) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}]}


def _form(filename: bytes) -> bytes:
    content: bytes = PART["content"]
    body = content.replace(b'"data"; filename="a"', b'"file"; filename="%b"' % filename)
    return b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' + body
