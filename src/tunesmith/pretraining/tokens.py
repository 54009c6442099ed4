"""A corpus -> its token ids, and some of them held out; of a large one in a file that is mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.cache import cached
from tunesmith.data.mapped import Mapped
from tunesmith.errors import DataError, Problem
from tunesmith.files import sha256_bytes
from tunesmith.model.fingerprint import tokenizer_fingerprint
from tunesmith.pretraining.corpus import Part, documents

__all__ = ["PartTokens", "Tokens", "tokens_of"]

Tokens = npt.NDArray[np.uint16 | np.int32]

_FORMAT = 1
_DOCUMENTS_AT_ONCE = 64
# one document in this many is held out, and of those at most so many windows
_HELD_OUT_EVERY = 50
_HELD_OUT_WINDOWS = 64
# of a corpus of few documents, this share of its end is held out
_HELD_OUT_SHARE = 0.05
_IN_MEMORY = 1 << 24


@dataclass(frozen=True)
class PartTokens:
    """The token ids of a corpus, each document followed by the token that ends a text."""

    part: Part
    sha256: str
    train: Tokens
    """(tokens,)"""
    held_out: Tokens
    """(tokens,) of other documents"""
    held_out_bytes: int
    """UTF-8 bytes of `held_out`, but for its first token, which nothing predicts"""
    mapped: Mapped | None = field(default=None, repr=False)
    """The file that holds `train`, where it is large"""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.part.path.name


def tokens_of(part: Part, tokenizer: Any, window: int, most: int | None) -> PartTokens:
    """Tokenise the beginning of a corpus, at most `most` tokens to train on, or all of it.

    Many are written to the cache, and found there the next time. Raises StorageError, and DataError where the
    corpus is no text, or too small for one window to train on and something to hold out.
    """
    sha256 = part.sha256
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
    most_held_out = _HELD_OUT_WINDOWS * window
    mapped: Mapped | None = None
    if most is not None and most <= _IN_MEMORY:
        held: list[Tokens] = []
        held_out = _parted(part, tokenizer, dtype, most, most_held_out, held.append)
        train = np.concatenate([np.zeros(0, dtype), *held])
    else:
        about = {
            "corpus": _FORMAT,
            "sha256": sha256,
            "column": part.column,
            "without": None if part.without is None else sha256_bytes(np.sort(part.without).tobytes()),
            "tokenizer": tokenizer_fingerprint(tokenizer),
            "most": [most, most_held_out],
        }
        entry = cached(about, lambda place: _write(place, part, tokenizer, dtype, most, most_held_out))
        held_out = np.fromfile(entry / "held_out.bin", dtype)
        train, mapped = _read(entry / "train.bin", dtype)
    if most is not None:
        train = train[:most]
    if len(held_out) < min(window, len(train) * _HELD_OUT_SHARE):
        count = max(1, int(len(train) * _HELD_OUT_SHARE))
        train, held_out = train[:-count], np.array(train[-count:])
    _refuse_small(part, train, held_out, window)
    size = len(tokenizer.decode(held_out[1:].tolist()).encode())
    return PartTokens(part, sha256, train, held_out, size, mapped)


def _refuse_small(part: Part, train: Tokens, held_out: Tokens, window: int) -> None:
    if len(train) <= window or len(held_out) < 2:
        what = f"the corpus is smaller than one window of {window} tokens for training and some held out"
        fix = "give more text: some thousand words at the least, in several documents"
        raise DataError(Problem("small-corpus", what, str(part.path), fix))


def _parted(
    part: Part,
    tokenizer: Any,
    dtype: np.dtype[Any],
    most: int | None,
    most_held_out: int,
    keep: Callable[[Tokens], object],
) -> Tokens:
    """Give `keep` the ids to train on, and return those held out."""
    kept, held = 0, [np.zeros(0, dtype)]
    size = 0
    for number, ids in enumerate(_token_ids(part, tokenizer, dtype)):
        if number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1 and size < most_held_out:
            held.append(ids)
            size += len(ids)
        elif most is None or kept < most:
            keep(ids)
            kept += len(ids)
        if most is not None and kept >= most and size >= most_held_out:
            break
    return np.concatenate(held)[:most_held_out]


def _token_ids(part: Part, tokenizer: Any, dtype: np.dtype[Any]) -> Iterator[Tokens]:
    some: list[str] = []
    for document in documents(part):
        some.append(document)
        if len(some) == _DOCUMENTS_AT_ONCE:
            yield from _ids_of(some, tokenizer, dtype)
            some = []
    if some:
        yield from _ids_of(some, tokenizer, dtype)


def _ids_of(texts: list[str], tokenizer: Any, dtype: np.dtype[Any]) -> Iterator[Tokens]:
    found = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    yield from (np.array([*ids, tokenizer.eos_token_id], dtype) for ids in found)


def _write(
    place: Path, part: Part, tokenizer: Any, dtype: np.dtype[Any], most: int | None, most_held_out: int
) -> None:
    with (place / "train.bin").open("wb") as stream:
        held_out = _parted(part, tokenizer, dtype, most, most_held_out, _writer(stream))
    held_out.tofile(place / "held_out.bin")


def _writer(stream: IO[bytes]) -> Callable[[Tokens], object]:
    return lambda ids: stream.write(ids.tobytes())


def _read(path: Path, dtype: np.dtype[Any]) -> tuple[Tokens, Mapped | None]:
    if not path.stat().st_size:
        return np.zeros(0, dtype), None
    with path.open("rb") as stream:
        mapped = Mapped(stream)
    return np.frombuffer(mapped.view, dtype), mapped
