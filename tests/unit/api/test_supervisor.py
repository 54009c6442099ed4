"""How long a place stays empty, and how a process is said to have ended."""

from __future__ import annotations

from tunesmith.api.supervisor import pause_before


def test_the_more_often_a_place_fails_the_longer_it_stays_empty() -> None:
    pauses = [pause_before(failures) for failures in range(10)]
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < 1
    assert pauses[-1] == pause_before(10_000) == 30
