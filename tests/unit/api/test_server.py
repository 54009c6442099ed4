"""What keeps a server from starting is one clear error, told before anything is loaded."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from pathlib import Path

import pytest

from tests.unit.api.conftest import KEY, FakePredictor
from tunesmith.api.app import create_app
from tunesmith.api.runner import Server
from tunesmith.api.server import serve, serve_model
from tunesmith.api.settings import Settings
from tunesmith.errors import ConfigError, Problem, ServiceError


def refused(host: str, port: int, settings: Settings) -> Problem:
    with pytest.raises(ServiceError) as caught:
        serve(create_app(FakePredictor(), settings, about={"model": "news"}), host, port)
    (problem,) = caught.value.problems
    return problem


def test_a_port_in_use_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problem = refused("127.0.0.1", port, Settings())
        assert problem.code == "port-in-use"
        assert problem.where == f"127.0.0.1:{port}"
        with pytest.raises(ServiceError, match="port-in-use"):
            serve_model(Path("no-such-model"), port=port)


def test_no_part_of_an_answer_waits_for_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Nagle's algorithm and delayed acknowledgements make each answer take 40 ms more."""

    async def start(*_: object) -> None:
        """Accepts nothing itself."""

    monkeypatch.setattr("uvicorn.Server.startup", start)
    server = Server(create_app(FakePredictor(), Settings(), about={"model": "news"}), lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(server.startup([listener]))
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("serves_here")
def test_garbage_is_not_looked_for_in_the_model_while_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch there, it would take some tenths of a second, in which nobody is answered."""
    frozen: list[int] = []
    monkeypatch.setattr(Server, "run", lambda *_: frozen.append(gc.get_freeze_count()))
    gc.unfreeze()
    try:
        serve(create_app(FakePredictor(), Settings(), about={"model": "news"}), port=0)
        assert gc.get_freeze_count() == 0
    finally:
        gc.freeze()  # as the tests began
    assert frozen[0] > 10_000


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_a_key_is_needed(host: str) -> None:
    assert refused(host, 0, Settings()).code == "key-needed"


def test_a_file_without_any_key_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("[]")
    assert refused("0.0.0.0", 0, Settings(keys_file=tmp_path / "keys.json")).code == "key-needed"


def test_keys_are_read_before_the_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bad-keys"):
        (tmp_path / "keys.json").write_text("{}")
        serve_model(Path("no-such-model"), port=0, settings=Settings(keys_file=tmp_path / "keys.json"))


def test_several_workers_need_a_system_that_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "sigtimedwait")
    with pytest.raises(ServiceError, match="workers-unavailable"):
        serve_model(Path("no-such-model"), port=0, settings=Settings(), workers=2)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 300, "not an address"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    assert refused(host, 0, Settings(api_key=KEY)).code == "bad-address"
