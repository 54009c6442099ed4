"""The bytes of each token: what stands in a text where a token stands, though it be half a character."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["special_ids", "token_bytes"]

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PRINTED = (range(ord("!"), ord("~") + 1), range(ord("¡"), ord("¬") + 1), range(ord("®"), ord("ÿ") + 1))


def special_ids(tokenizer: Any) -> frozenset[int]:
    """The tokens that are signs to the model and no text."""
    added = {token for token, about in tokenizer.added_tokens_decoder.items() if about.special}
    return frozenset(added.union(tokenizer.all_special_ids))


def token_bytes(tokenizer: Any) -> list[bytes]:
    """The UTF-8 bytes of each token within a text, by its id; none of special tokens and of unused ids.

    A text is the bytes of its tokens, joined. Where a tokenizer begins every text with a space, the first
    token's is in its bytes, too.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    special, spelled = special_ids(tokenizer), _speller(tokenizer)
    found = [b""] * (max(vocabulary.values()) + 1)
    for name, token in vocabulary.items():
        if token not in special:
            found[token] = spelled(name)
    return found


def _speller(tokenizer: Any) -> Callable[[str], bytes]:
    """How the name of a token in the vocabulary is read."""
    decoders = {each["type"]: each for each in _decoders(tokenizer)}
    if "ByteLevel" in decoders:
        return _of_byte_level()
    if "BPEDecoder" in decoders:
        suffix = decoders["BPEDecoder"]["suffix"]
        return lambda name: name.replace(suffix, " ").encode()
    if "Metaspace" in decoders or "Replace" in decoders:
        space = decoders.get("Metaspace", {}).get("replacement", "▁")
        return _of_marked_spaces(space, has_bytes="ByteFallback" in decoders)
    return _by_decoding(tokenizer)


def _decoders(tokenizer: Any) -> Iterator[dict[str, Any]]:
    """What the tokenizers library does one after the other to make text of tokens."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    settings: dict[str, Any] = json.loads(decoder.__getstate__()) if decoder is not None else {"type": "none"}
    yield from settings["decoders"] if settings["type"] == "Sequence" else [settings]


def _of_byte_level() -> Callable[[str], bytes]:
    """GPT-2's alphabet: a byte that can be printed stands for itself, the others for what follows U+0100."""
    printed = [code for codes in _PRINTED for code in codes]
    others = [code for code in range(256) if code not in printed]
    alphabet = {chr(code): code for code in printed} | {chr(256 + at): code for at, code in enumerate(others)}

    def spelled(name: str) -> bytes:
        # a token that was added is written as it is
        return bytes(map(alphabet.__getitem__, name)) if alphabet.keys() >= set(name) else name.encode()

    return spelled


def _of_marked_spaces(space: str, *, has_bytes: bool) -> Callable[[str], bytes]:
    """SentencePiece's: a sign stands for a space, and `<0x0A>` for a byte."""

    def spelled(name: str) -> bytes:
        byte = _BYTE_TOKEN.fullmatch(name) if has_bytes else None
        return bytes([int(byte[1], 16)]) if byte else name.replace(space, " ").encode()

    return spelled


def _by_decoding(tokenizer: Any) -> Callable[[str], bytes]:
    """What a token adds to the text of one before it."""
    before = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    # asked for once: each time it is made anew
    vocabulary: dict[str, int] = tokenizer.get_vocab()

    def decoded(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    start = decoded(before)
    return lambda name: decoded([*before, vocabulary[name]]).removeprefix(start).encode()
