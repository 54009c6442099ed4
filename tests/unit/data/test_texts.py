"""When two texts are the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.texts import EMPTY_KEY, same_text_key, same_text_keys, text_batches


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello  World", " hello\nworld\t"),
        ("é", "e\u0301"),
        ("STRASSE", "straße"),
        ("", " \n"),
        ("a\u00a0b", "a b"),
    ],
)
def test_case_spaces_and_unicode_form_make_no_difference(one: str, other: str) -> None:
    assert same_text_key(one) == same_text_key(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("a.", "a"), ("e", "é"), ("", "a")])
def test_anything_else_does(one: str, other: str) -> None:
    assert same_text_key(one) != same_text_key(other)


def test_the_key_is_the_same_on_every_machine() -> None:
    assert same_text_key("Hello, world") == 14086005473387700753


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none()))
def test_a_column_has_the_keys_of_its_texts(texts: list[str | None]) -> None:
    half = len(texts) // 2
    column = pa.chunked_array([texts[:half], texts[half:]], pa.large_string())
    keys = same_text_keys(column)
    assert keys.dtype == np.uint64
    assert keys.tolist() == [same_text_key(text or "") for text in texts]
    assert all(
        (key == EMPTY_KEY) == (not (text or "").strip()) for key, text in zip(keys, texts, strict=True)
    )
    assert [text for batch in text_batches(column, 2) for text in batch] == [text or "" for text in texts]
