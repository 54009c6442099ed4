"""Forms, however their bytes are cut."""

from __future__ import annotations

import itertools
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.api.refusal import Refusal
from tunesmith.studio.forms import Field, FileData, FileStart, FormParser

HEAD = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\n'
HEAD += b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def parsed(body: bytes, cuts: list[int]) -> tuple[list[object], bytes]:
    """All but the data, and the data."""
    others: list[object] = []
    parser, data = FormParser(b"b"), b""
    places = sorted({0, *(cut % (len(body) + 1) for cut in cuts), len(body)})
    for start, end in itertools.pairwise(places):
        for event in parser.feed(body[start:end]):
            if isinstance(event, FileData):
                data += event.data
            else:
                others.append(event)
    parser.end()
    return others, data


@settings(max_examples=300)
@given(st.binary(max_size=60), st.lists(st.integers(0, 400), max_size=8))
def test_a_form_is_read_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    if b"\r\n--b" in data:
        return
    events, found = parsed(HEAD + data + TAIL, cuts)
    assert events == [Field("purpose", "fine-tune"), FileStart("file", "a.jsonl")]
    assert found == data


@settings(max_examples=500)
@given(st.binary(max_size=300), st.booleans())
def test_whatever_comes_is_read_or_refused(data: bytes, begins_well: bool) -> None:
    # any other exception would be a fault of ours
    with suppress(Refusal):
        parsed((HEAD if begins_well else b"") + data, [])
