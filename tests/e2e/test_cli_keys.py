"""Keys at the command line: printed once, listed by name, and refused in words."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.conftest import Cli
from tests.forked import environment
from tunesmith.api.keys import key_hash, read_keys


def test_a_key_is_printed_once_and_only_its_hash_is_kept(cli: Cli) -> None:
    options = ("--file", "own.json", "--texts-per-minute", "1000", "--project", "news")
    said = cli("keys", "add", "alice", *options).good()
    (key,) = said.out.splitlines()
    assert key not in said.err
    (stored,) = read_keys(cli.directory / "own.json")
    assert (stored.name, stored.sha256, stored.texts_per_minute) == ("alice", key_hash(key), 1000)
    assert stored.project == "news"
    listed = cli("keys", "list", TUNESMITH_KEYS_FILE="own.json").good().out
    assert "alice" in listed
    assert "news" in listed
    assert "1,000" in listed
    assert key not in listed
    assert cli("keys", "remove", "alice", "--file", "own.json").good().out == ""
    assert read_keys(cli.directory / "own.json") == ()


def test_what_cannot_be_done_is_told(cli: Cli) -> None:
    cli("keys", "add", "alice").good()
    cli("keys", "add", "alice").refused("key-exists")
    cli("keys", "add", "a name").refused("bad-keys")
    cli("keys", "remove", "bob").refused("no-key")
    cli("keys", "list", "--file", "elsewhere.json").refused("no-file")
    for words in (["add"], ["remove"], ["list", "alice"], ["remove", "alice", "--texts-per-minute", "1"]):
        assert cli("keys", *words).code == 2


def test_a_server_is_not_started_with_a_file_that_holds_no_keys(cli: Cli) -> None:
    (cli.directory / "keys.json").write_text('[{"name": "alice"}]')
    cli("serve", "nowhere", "--keys", "keys.json", "--port", "0").refused("bad-keys", "bad-keys")


def test_keys_need_no_package_of_the_server(cli: Cli) -> None:
    cli("keys", "add", "alice").good()
    alone = (
        "import sys; sys.modules |= dict.fromkeys(('starlette', 'fastapi', 'uvicorn'));"
        "sys.argv[1:] = ['keys', 'list']; from tunesmith.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", alone], cwd=cli.directory, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, "alice" in done.stdout) == (0, True), done.stderr
