from __future__ import annotations

from pathlib import Path

from tunesmith.score.answers import added_columns
from tunesmith.score.here import Done
from tunesmith.score.progress import Scoring, Watch
from tunesmith.score.source import Source
from tunesmith.task import Task


def _source(total: int | None) -> Source:
    return Source(Path("a.csv"), Task(), "text", ("text",), False, total)


def _done(start: int, share: float | None) -> Done:
    return Done((start, start + 100), share, added_columns(Task()).empty_table())


def _watch(total: int | None, before: int = 0) -> Watch:
    seconds = iter(range(0, 1000, 10))
    return Watch(_source(total), before, clock=lambda: next(seconds))


def test_a_known_total_tells_the_time_left() -> None:
    said = _watch(1000).answered(_done(0, None))
    assert (said.rows, said.rows_per_second, said.total, said.estimated) == (100, 10, 1000, False)
    assert said.seconds_left == 90


def test_a_total_is_reckoned_from_what_was_read_of_the_file() -> None:
    said = _watch(None).answered(_done(100, 0.5))
    assert (said.total, said.estimated) == (400, True)


def test_what_is_not_known_is_not_told() -> None:
    said = _watch(None).answered(_done(0, None))
    assert (said.total, said.seconds_left) == (None, None)
    assert Scoring(0, 0.0, total=10).seconds_left is None


def test_the_speed_is_that_of_this_call() -> None:
    watch = _watch(1000, before=500)
    said = watch.answered(_done(500, None))
    assert (said.rows, said.rows_per_second, said.seconds_left) == (600, 10, 40)
    assert watch.rows == 100
