"""Keys of several callers, given and taken away while the server runs."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.unit.api.conftest import KEY, Client, Clock, FakePredictor, MakeClient, refusal
from tunesmith.api.app import create_app
from tunesmith.api.keyring import Keyring
from tunesmith.api.keys import add_key, remove_key
from tunesmith.api.settings import Settings
from tunesmith.errors import UserError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def ring(path: Path | None, **settings: object) -> tuple[Keyring, Clock]:
    clock = Clock()
    return Keyring(Settings.model_validate({"keys_file": path, **settings}), clock=clock), clock


def name_of(keyring: Keyring, key: str) -> str | None:
    found = keyring.find(key)
    return None if found is None else found.name


def test_keys_of_both_kinds_are_known_by_name(path: Path) -> None:
    alice, bob = (add_key(path, name, now=NOW) for name in ("alice", "bob"))
    keyring, _ = ring(path, api_key=KEY)
    assert [name_of(keyring, key) for key in (alice, bob, KEY)] == ["alice", "bob", "environment"]
    for wrong in ("", alice[:-1], alice + "x", alice.swapcase(), "é", "\udcff"):
        assert keyring.find(wrong) is None


def test_every_key_is_compared_whichever_was_sent(path: Path) -> None:
    keys = [add_key(path, name, now=NOW) for name in ("alice", "bob", "carol")]
    compared: list[str] = []

    def equal(one: str, other: str) -> bool:
        compared.append(other)
        return one == other

    keyring = Keyring(Settings(keys_file=path), equal=equal)
    for key in (*keys, "wrong"):
        compared.clear()
        keyring.find(key)
        assert len(compared) == 3


def test_a_key_is_taken_away_and_given_while_the_server_runs(path: Path) -> None:
    alice = add_key(path, "alice", now=NOW)
    keyring, clock = ring(path)
    remove_key(path, "alice")
    bob = add_key(path, "bob", now=NOW)
    # looked at again at most once a second
    assert name_of(keyring, alice) == "alice"
    clock.now += 1
    assert name_of(keyring, alice) is None
    assert name_of(keyring, bob) == "bob"


def test_a_file_that_cannot_be_read_any_more_keeps_the_keys(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tunesmith.api")
    alice = add_key(path, "alice", now=NOW)
    keyring, clock = ring(path)
    for break_it in (lambda: path.write_text("[{"), path.unlink):
        break_it()
        caplog.clear()
        for _ in range(3):
            clock.now += 1
            assert name_of(keyring, alice) == "alice"
        assert len(caplog.messages) == 1
        assert "kept" in caplog.messages[0]
    carol = add_key(path, "carol", now=NOW)
    clock.now += 1
    assert name_of(keyring, carol) == "carol"
    assert name_of(keyring, alice) is None


@pytest.mark.parametrize("content", [None, "[{}]", "text"])
def test_a_file_that_cannot_be_read_at_first_keeps_the_server_from_starting(
    path: Path, content: str | None
) -> None:
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError):
        ring(path)


def asked(client: Client, key: str) -> httpx.Response:
    return client.post("/v1/classify", json={"input": "music"}, headers={"Authorization": f"Bearer {key}"})


def test_the_name_stands_in_log_and_metrics_and_the_key_nowhere(
    path: Path, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tunesmith.api")
    alice, bob = (add_key(path, name, now=NOW) for name in ("alice", "bob"))
    client = make_client(keys_file=path)
    assert [asked(client, key).status_code for key in (alice, alice, bob)] == [200, 200, 200]
    names = [re.search(r" key=(\S+)", message) for message in caplog.messages[-3:]]
    assert [found and found[1] for found in names] == ["alice", "alice", "bob"]
    metrics = client.get("/metrics", headers={"Authorization": f"Bearer {bob}"}).text
    assert 'tunesmith_key_requests_total{key="alice"} 2.0' in metrics
    assert 'tunesmith_key_texts_total{key="bob"} 1.0' in metrics
    assert not [key for key in (alice, bob) if key in caplog.text + metrics]


def test_with_a_file_of_keys_nothing_is_told_without_one(path: Path, make_client: MakeClient) -> None:
    path.write_text("[]")
    client = make_client(keys_file=path)
    assert refusal(client.get("/v1/model")) == (401, "wrong-key", None)
    assert refusal(asked(client, KEY)) == (401, "wrong-key", None)
    page = client.get("/").text
    assert 'id="key"' in page
    assert "news" not in page


def test_an_application_is_not_made_of_keys_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(UserError, match="no-file"):
        create_app(FakePredictor(), Settings(keys_file=path), about={"model": "news"})
