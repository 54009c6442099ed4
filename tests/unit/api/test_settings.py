"""What an operator may set, and what is said where it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.api.conftest import KEY
from tunesmith.api.settings import Settings, read_settings
from tunesmith.errors import ServiceError


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"TUNESMITH_API_KEY": "", "TUNESMITH_ELSE": "1", "MAX_TEXTS": "9"}) == Settings()


def test_every_field_may_stand_in_the_environment() -> None:
    found = read_settings(
        {
            "TUNESMITH_API_KEY": KEY,
            "TUNESMITH_ALLOWED_HOSTS": "a.example, b.example,",
            "TUNESMITH_MAX_TEXTS": "9",
            "TUNESMITH_DRAIN_SECONDS": "2.5",
        }
    )
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == KEY
    assert found.allowed_hosts == ("a.example", "b.example")
    assert (found.max_texts, found.drain_seconds) == (9, 2.5)
    assert KEY not in repr(found)


def test_all_bad_settings_are_told_at_once() -> None:
    with pytest.raises(ServiceError) as caught:
        read_settings({"TUNESMITH_MAX_TEXTS": "many", "TUNESMITH_MAX_WAITING": "0"})
    assert [problem.code for problem in caught.value.problems] == ["bad-setting", "bad-setting"]
    assert "TUNESMITH_MAX_WAITING" in caught.value.problems[1].where


@pytest.mark.parametrize("key", ["short", "with spaces in the middle of it", "ключ" * 10, "line\nbreak" * 5])
def test_a_weak_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_settings({"TUNESMITH_API_KEY": key})
    assert caught.value.problems[0].code == "bad-key"
    assert key not in str(caught.value)


def test_an_option_takes_the_place_of_the_environment(tmp_path: Path) -> None:
    environ = {"TUNESMITH_KEYS_FILE": "elsewhere.json", "TUNESMITH_MAX_TEXTS": "9"}
    found = read_settings(environ, keys_file=tmp_path / "keys.json", max_texts=None)
    assert (found.keys_file, found.max_texts) == (tmp_path / "keys.json", 9)
