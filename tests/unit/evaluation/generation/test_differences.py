"""What differs is marked, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.evaluation.generation.differences import Piece, differences


def _marked(pieces: tuple[Piece, ...]) -> str:
    return "".join(f"[{piece.text}]" if piece.differs else piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("reference", "answer", "wanted", "written"),
    [
        ("The old cat sat.", "The dog sat!", "The [old cat] sat[.]", "The [dog] sat[!]"),
        ("same words", "same  words", "same words", "same  words"),
        ("日本語です", "日本人です", "日本[語]です", "日本[人]です"),
        ("Yes", "yes", "[Yes]", "[yes]"),
        ("all of it", "", "[all of it]", ""),
        ("a\nb", "b", "[a]\nb", "b"),
    ],
)
def test_what_the_other_lacks_is_marked(reference: str, answer: str, wanted: str, written: str) -> None:
    assert tuple(map(_marked, differences(reference, answer))) == (wanted, written)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_joined_the_pieces_are_the_texts(reference: str, answer: str) -> None:
    wanted, written = differences(reference, answer)
    assert "".join(piece.text for piece in wanted) == reference
    assert "".join(piece.text for piece in written) == answer


@given(st.text(max_size=60))
def test_equal_texts_have_no_marks(text: str) -> None:
    assert not any(piece.differs for pieces in differences(text, text) for piece in pieces)
