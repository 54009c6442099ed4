from __future__ import annotations

import codecs

from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.scribe.piece import Token
from tunesmith.scribe.spelling import Spelling

# characters of one to four bytes, and bytes that are none
_bytes = st.one_of(st.text("ab é€😀").map(str.encode), st.binary(max_size=3))
_answers = st.lists(_bytes, max_size=12)
_stops = st.lists(st.text("abé😀", min_size=1, max_size=4), max_size=3)


def _expected(answer: list[bytes], stop: list[str]) -> tuple[str, bool]:
    """The text up to the first stop text that is there once a token has come."""
    for end in range(1, len(answer) + 1):
        text = _known(b"".join(answer[:end]))
        if found := [at for at in map(text.find, stop) if at >= 0]:
            return text[: min(found)], True
    return b"".join(answer).decode(errors="replace"), False


def _known(data: bytes) -> str:
    """The characters that no further byte can change."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data)


def _token(data: bytes) -> Token:
    return Token(1, data.decode(errors="replace"), data, 0)


def _may_stop(held: str, stop: list[str]) -> bool:
    return any(text.startswith(held) and len(text) > len(held) for text in stop)


@given(_answers, _stops)
@example([b"a", b"b", b"a", b"b", b"b"], ["abb"])
@example(["é".encode()[:1], "é".encode()[1:], b""], ["é"])
@example([b"ab", b"a"], ["ba", "b"])
def test_all_text_leaves_as_soon_as_it_is_known_but_no_stop_text(
    answer: list[bytes], stop: list[str]
) -> None:
    spelling, given, tokens = Spelling(stop), "", list[Token]()
    for end, data in enumerate(answer, 1):
        text, some = spelling.add(_token(data))
        given, tokens = given + text, [*tokens, *some]
        if spelling.stopped:
            break
        known = _known(b"".join(answer[:end]))
        assert known.startswith(given)
        held = known[len(given) :]
        assert not held or _may_stop(held, stop)
        assert not any(_may_stop(known[at:], stop) for at in range(len(given)))
    text, some = spelling.end()
    assert (given + text, spelling.stopped) == _expected(answer, stop)
    tokens += some
    if spelling.stopped:
        assert all(token.offset < len(given + text) or not token.data for token in tokens)
    else:
        assert [token.data for token in tokens] == answer
    before = 0
    for number, token in enumerate(tokens):
        assert token.offset == len(_known(b"".join(answer[:number])))
        assert token.offset >= before
        before = token.offset


@given(st.text(max_size=20), st.integers(1, 4))
def test_characters_are_never_cut(text: str, width: int) -> None:
    data = text.encode()
    spelling, pieces = Spelling(), []
    for start in range(0, len(data), width):
        piece, _ = spelling.add(_token(data[start : start + width]))
        assert "\ufffd" not in piece or "\ufffd" in text
        pieces.append(piece)
    assert "".join(pieces) == text
    assert spelling.end()[0] == ""


def test_tokens_of_a_stop_text_stay_inside_and_half_a_token_leaves() -> None:
    spelling = Spelling(["STOP"])
    assert spelling.add(_token(b"go"))[0] == "go"
    assert spelling.add(_token(b"al S")) == ("al ", ())
    assert spelling.add(_token(b"TO")) == ("", ())
    text, tokens = spelling.add(_token(b"P and"))
    assert (text, [token.data for token in tokens], spelling.stopped) == ("", [b"al S"], True)
    assert spelling.end() == ("", ())


def test_what_looked_like_a_stop_text_leaves_in_the_end() -> None:
    spelling = Spelling(["STOP"])
    assert spelling.add(_token(b"ST")) == ("", ())
    text, tokens = spelling.end()
    assert (text, len(tokens)) == ("ST", 1)
