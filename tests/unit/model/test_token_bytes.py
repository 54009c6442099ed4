from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.like_llama import like_llama_tokenizer
from tests.models import tiny_tokenizer
from tunesmith.model.token_bytes import special_ids, token_bytes

BYTE_LEVEL, LIKE_LLAMAS = tiny_tokenizer(), like_llama_tokenizer()
OF_BYTE_LEVEL, OF_LLAMAS = token_bytes(BYTE_LEVEL), token_bytes(LIKE_LLAMAS)
_text = st.one_of(st.text(max_size=20), st.text("the striker ▁<0x41>é😀\n", max_size=20))


@given(_text)
def test_byte_level_tokens_are_the_bytes_of_a_text(text: str) -> None:
    ids = BYTE_LEVEL(text, add_special_tokens=False)["input_ids"]
    if special_ids(BYTE_LEVEL).isdisjoint(ids):
        assert b"".join(OF_BYTE_LEVEL[token] for token in ids) == text.encode()


@given(_text.filter(lambda text: "▁" not in text))
def test_tokens_like_llamas_are_the_bytes_of_a_text_behind_a_space(text: str) -> None:
    ids = LIKE_LLAMAS(text, add_special_tokens=False)["input_ids"]
    said = b"".join(OF_LLAMAS[token] for token in ids)
    assert said == (b" " + text.encode() if text else b"")
    assert LIKE_LLAMAS.decode(ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, LIKE_LLAMAS])
def test_special_tokens_say_nothing_and_every_byte_can_be_said(tokenizer: Any) -> None:
    data = token_bytes(tokenizer)
    assert len(data) == len(tokenizer)
    assert {token for token, said in enumerate(data) if not said} == special_ids(tokenizer)
    assert {bytes([code]) for code in range(256)} <= set(data)


def test_added_tokens_are_said_as_they_are_written() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["über Ġ"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    assert token_bytes(tokenizer)[-2:] == ["über Ġ".encode(), b""]


def test_other_tokenizers_are_asked_what_a_token_adds() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"[UNK]": 0, "a": 1, "##b": 2, "c": 3}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece(cleanup=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")  # type: ignore[no-untyped-call]
    assert token_bytes(tokenizer) == [b"", b" a", b"b", b" c"]
