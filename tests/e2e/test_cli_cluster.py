"""Tables that are scored on a Ray cluster."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import GOLDEN
from tests.e2e.conftest import Cli, write_table

MODEL = GOLDEN / "bundle-v1"


# not imported: it reads its settings then, which other tests set
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray, of the extra `cluster`")


def test_a_cluster_of_this_machine(cli: Cli, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", rows=5000)
    cli("predict", MODEL, "--file", "a.csv", "--out", "b.csv").good()
    said = cli("predict", MODEL, "--file", "a.csv", "--out", "c.csv", "--on", "ray").good()
    assert said.out == ""
    # a line that begins with a time is Ray's, which cannot be silenced without another in its place
    ours = [line for line in said.err.splitlines() if line and not line.startswith("[")]
    assert len(ours) == 2, said.err
    assert "wrote 5,000 rows to c.csv" in ours[1]
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "c.csv"}


def test_a_cluster_that_does_not_answer(cli: Cli, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv")
    ray = ("--on", "ray", "--ray-address", "127.0.0.1:9")
    said = cli("predict", MODEL, "--file", "a.csv", "--out", "b.csv", *ray).refused("no-cluster")
    assert "127.0.0.1:9" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
