"""Bytes -> one strict JSON object."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.api.limits import parse_object, shown_name
from tunesmith.api.refusal import Refusal

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    # a pair of surrogates is one character in JSON: only whole characters come back as they were
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES))
def test_an_object_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode()) == value
    assert parse_object(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary())
def test_bytes_are_an_object_or_refused(body: bytes) -> None:
    with suppress(Refusal):
        assert isinstance(parse_object(body), dict)


def test_a_syntax_error_has_its_place() -> None:
    with pytest.raises(Refusal, match="line 2, column 10"):
        parse_object(b'{"a": 1,\n "input" "x"}')


def test_a_name_is_shown_short_and_whole() -> None:
    assert shown_name("\ud800") == "?"
    assert len(shown_name("n" * 10_000)) < 100
