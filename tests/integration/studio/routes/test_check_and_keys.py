"""What the studio tells beyond OpenAI's API: the check of a file, and the keys of a project."""

from __future__ import annotations

import json

import pytest

from tests.integration.studio.routes.conftest import LINES, Live, MakeStudio
from tests.studio import classes


@pytest.fixture(scope="module")
def shared(make_studio: MakeStudio) -> Live:
    return make_studio(projects=("news", "sports"))


def test_a_file_is_checked_for_its_project_only(shared: Live) -> None:
    content = "".join(json.dumps(row) + "\n" for row in classes(20)).encode() + b"bad\n"
    with shared.client("news") as client, shared.http("news") as news, shared.http("sports") as sports:
        file = client.files.create(file=("a.jsonl", content), purpose="fine-tune")
        told = news.get(f"/v1/files/{file.id}/check")
        assert told.status_code == 200
        found = told.json()
        assert (found["teaches"], found["examples"], found["faults"]) == ("labels", 20, 1)
        assert found["first_faults"][0]["line"] == 21
        assert found["tokens"]["counted"] == 20
        assert news.get(f"/v1/files/{file.id}/check").json() == found
        assert sports.get(f"/v1/files/{file.id}/check").json()["error"]["code"] == "no-such-file"


def test_keys_are_told_of_ones_own_project_and_without_hashes(shared: Live) -> None:
    with shared.http("news") as news:
        told = news.get("/v1/keys").json()
        assert told["project"] == "news"
        assert [(key["name"], key["yours"]) for key in told["data"]] == [("news", True)]
        assert "sha256" not in json.dumps(told)
        assert news.post("/v1/keys").status_code == 405


def test_monitors_hear_of_jobs_by_their_status(
    make_studio: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.studio.counting._EVERY_SECONDS", 0.01)
    live = make_studio()
    with live.client() as client, live.http() as http:
        file = client.files.create(file=("a.jsonl", LINES), purpose="fine-tune").id
        ids = [client.fine_tuning.jobs.create(model="embedded", training_file=file).id for _ in range(2)]
        client.fine_tuning.jobs.cancel(ids[0])
        wanted = {"validating_files": 1.0, "cancelled": 1.0, "running": 0.0}
        for _ in range(1000):
            told = http.get("/metrics").text
            if all(f'tunesmith_jobs{{status="{name}"}} {count}' in told for name, count in wanted.items()):
                break
        else:
            pytest.fail(told)
