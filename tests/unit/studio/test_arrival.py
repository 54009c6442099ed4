"""Bytes on their way into a blob, and what is left when it ends in any way."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tunesmith.api.refusal import Refusal
from tunesmith.studio.arrival import Arrival
from tunesmith.studio.blobs import LocalBlobs


def arrive(blobs: LocalBlobs, data: bytes, *, error: BaseException | None = None, kept: bool = True) -> None:
    async def run() -> None:
        async with Arrival(blobs, "files/a", 0) as arrival:
            for start in range(0, len(data), 70_000):
                await arrival.write(data[start : start + 70_000])
            if kept:
                await arrival.keep()
            if error is not None:
                raise error
            assert arrival.sha256 == hashlib.sha256(data).hexdigest()
            arrival.settle()

    asyncio.run(run())


def left(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


def test_what_is_kept_is_there(tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    arrive(LocalBlobs(tmp_path), data)
    assert (tmp_path / "files" / "a").read_bytes() == data
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_refused_leaves_nothing(tmp_path: Path, kept: bool) -> None:
    with pytest.raises(Refusal):
        arrive(LocalBlobs(tmp_path), b"x" * 200_000, error=Refusal("project-full", "no"), kept=kept)
    assert left(tmp_path) == []


def test_what_may_be_written_down_already_is_left_to_the_janitor(tmp_path: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        arrive(LocalBlobs(tmp_path), b"x", error=asyncio.CancelledError())
    assert left(tmp_path) == ["a"]


def test_what_breaks_off_before_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        arrive(LocalBlobs(tmp_path), b"x", error=asyncio.CancelledError(), kept=False)
    assert left(tmp_path) == []
