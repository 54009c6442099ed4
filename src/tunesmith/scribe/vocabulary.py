"""What tokens say: their bytes, their names, and which of them end an answer."""

from __future__ import annotations

from typing import Any

from tunesmith.model.generator import Generator
from tunesmith.model.token_bytes import special_ids, token_bytes

__all__ = ["Vocabulary"]


class Vocabulary:
    """The tokens of a model, read once, so that no other thread needs the tokenizer."""

    def __init__(self, generator: Generator) -> None:
        tokenizer = generator.tokenizer
        self.bytes = token_bytes(tokenizer)
        """What each token says, by its id; what is special says nothing"""
        self.end_ids = frozenset(generator.end_ids)
        self.special_ids = special_ids(tokenizer)
        self.drops_first_space = _drops_first_space(tokenizer, self.bytes)
        """Whether a space at the beginning of a text comes from its first token, and is not of the text"""
        self._names = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in self.special_ids}

    def said(self, token: int, *, first: bool = False) -> tuple[str, bytes]:
        """What a token says, as text and in bytes; its name, where it is special."""
        data = self.bytes[token] if token < len(self.bytes) else b""
        if first and self.drops_first_space:
            data = data.removeprefix(b" ")
        return self._names.get(token, data.decode(errors="replace")), data


def _drops_first_space(tokenizer: Any, data: list[bytes]) -> bool:
    spaced = next((token for token, said in enumerate(data) if said[:1] == b" " and said[1:].isalnum()), None)
    return spaced is not None and not tokenizer.decode([spaced]).startswith(" ")
