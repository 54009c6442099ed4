from __future__ import annotations

import asyncio
from threading import Thread

import pytest

from tunesmith.scribe.piece import Piece
from tunesmith.scribe.stream import Stream

_PIECES = [Piece(0, "a"), Piece(1, "b", finish_reason="stop"), Piece(0, "c", finish_reason="length")]


def _fill(stream: Stream) -> None:
    for piece in _PIECES:
        stream.put(piece)


def test_it_ends_with_the_last_piece_of_the_last_choice() -> None:
    stream = Stream(3, 2)
    writing = Thread(target=_fill, args=[stream])
    writing.start()
    assert list(stream) == _PIECES
    writing.join()
    assert stream.closed
    stream.put(Piece(0, "too late"))
    assert list(stream) == []


def test_a_coroutine_hears_a_thread() -> None:
    async def hear() -> list[Piece]:
        stream = Stream(3, 2)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        writing = Thread(target=_fill, args=[stream])
        writing.start()
        found = [await waiting, *[piece async for piece in stream]]
        writing.join()
        return found

    assert asyncio.run(hear()) == _PIECES


def test_an_error_comes_behind_what_came_before_it() -> None:
    stream = Stream(3, 2)
    stream.put(_PIECES[0])
    stream.fail(ValueError("why"))
    stream.fail(ValueError("another"))
    pieces = iter(stream)
    assert next(pieces) == _PIECES[0]
    with pytest.raises(ValueError, match="why"):
        next(pieces)


def test_who_cancels_hears_no_more() -> None:
    stream = Stream(3, 2)
    stream.put(_PIECES[0])
    stream.cancel()
    _fill(stream)
    assert list(stream) == []
    assert stream.closed


def test_who_waits_in_an_event_loop_that_ended_has_gone() -> None:
    stream = Stream(3, 2)

    async def leave() -> None:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    _fill(stream)
    assert stream.closed
