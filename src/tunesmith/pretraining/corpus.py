"""Raw text -> documents -> a tokenizer and blocks of token ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.formats.lines import Sample, opened, read_sample
from tunesmith.data.problems import ReadLog
from tunesmith.errors import DataError, Problem
from tunesmith.files import sha256_file, storage_errors

__all__ = [
    "END_OF_TEXT",
    "PAD",
    "Blocks",
    "Part",
    "PartBlocks",
    "documents",
    "load_blocks",
    "train_tokenizer",
]

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
# longer documents are handed to the tokenizer in pieces, so that one book is not one string
_PIECE_CHARACTERS = 100_000
_PIECES_AT_ONCE = 64
_MOST_CONTROL_CHARACTERS = 0.02  # of the beginning; more is no text
# one document in this many is held out, and of those at most so many blocks are measured
_HELD_OUT_EVERY = 50
_HELD_OUT_BLOCKS = 64
_HELD_OUT_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class Part:
    """A corpus file and its share of the tokens trained on."""

    path: Path
    share: float


@dataclass(frozen=True, slots=True)
class PartBlocks:
    """What one corpus file gave."""

    name: str
    sha256: str
    share: float
    distinct_tokens: int
    passes: float
    """How often the text is seen; below 1, only its beginning is."""
    held_out: npt.NDArray[np.uint16]
    """(blocks, window + 1)"""
    held_out_bytes: int
    """UTF-8 bytes of the predicted tokens of `held_out`"""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Training blocks of all parts together, (blocks, window + 1), in no particular order."""

    train: npt.NDArray[np.uint16]
    parts: tuple[PartBlocks, ...]


def documents(path: Path) -> Iterator[str]:
    """The documents of a text file: a paragraph a line, an empty line between documents.

    Long documents come in pieces. Plain, .gz, .xz or .zst; read as a stream.
    Raises StorageError, and DataError where the file is empty or no text.
    """
    lines: list[str] = []
    size = 0
    with storage_errors(path):
        sample = _sample(path)
        for line in _lines(path, sample):
            text = line.rstrip("\r\n")
            if (not text.strip() or size >= _PIECE_CHARACTERS) and lines:
                yield "\n".join(lines)
                lines, size = [], 0
            if text.strip():
                lines.append(text)
                size += len(text)
    if lines:
        yield "\n".join(lines)


def _sample(path: Path) -> Sample:
    if not path.is_file() and path.exists():
        fix = "name a file of text, plain or compressed"
        raise DataError(Problem("not-text", "this is no file", str(path), fix))
    sample = read_sample(path, ReadLog())
    control = sum(not (char.isprintable() or char.isspace()) for char in sample.text)
    if control > _MOST_CONTROL_CHARACTERS * len(sample.text):
        fix = "save it as plain text in UTF-8; a compressed file needs its suffix, .gz, .xz or .zst"
        raise DataError(Problem("not-text", "the file is not text", str(path), fix))
    return sample


def _lines(path: Path, sample: Sample) -> Iterator[str]:
    with opened(path, sample) as stream:
        while line := stream.readline(_PIECE_CHARACTERS):
            yield sample.encoding.mended(line)[0]


def train_tokenizer(texts: Iterable[str], vocabulary: int, window: int) -> Any:
    """A byte-level BPE tokenizer with an end-of-text and a pad token of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=PAD,
        model_max_length=window,
        padding_side="right",
    )


def load_blocks(parts: Sequence[Part], tokenizer: Any, window: int, tokens: int) -> Blocks:
    """Tokenise each part up to its share of `tokens`, repeating a part that is too small."""
    assert len(tokenizer) <= 1 << 16, "token ids are kept in 16 bits"
    total_share = sum(part.share for part in parts)
    loaded = [_load_part(part, tokenizer, window, int(tokens * part.share / total_share)) for part in parts]
    return Blocks(np.concatenate([train for train, _ in loaded]), tuple(part for _, part in loaded))


def _load_part(
    part: Part, tokenizer: Any, window: int, tokens: int
) -> tuple[npt.NDArray[np.uint16], PartBlocks]:
    if tokens <= window:
        what = f"its share of --tokens, {tokens:,}, does not fill one window of {window} tokens"
        raise DataError(Problem("few-tokens", what, str(part.path), "raise --tokens, or lower --window"))
    train_ids, held_out_ids = _tokenise(part.path, tokenizer, tokens)
    train, held_out = _cut(train_ids, window), _cut(held_out_ids, window)[:_HELD_OUT_BLOCKS]
    if not len(train) or not len(held_out):
        what = f"the corpus is smaller than one block of {window} tokens for training and one held out"
        fix = "give more text: some thousand words at the least, in several documents"
        raise DataError(Problem("small-corpus", what, str(part.path), fix))
    wanted = max(1, tokens // window)
    repeated = np.resize(np.arange(len(train)), wanted)  # whole passes, then the rest of one
    decoded = [tokenizer.decode(row[1:].tolist()) for row in held_out]
    size = sum(len(text.encode()) for text in decoded)
    name, passes = part.path.name, wanted / len(train)
    found = PartBlocks(name, sha256_file(part.path), part.share, len(train_ids), passes, held_out, size)
    return train[repeated], found


def _tokenise(path: Path, tokenizer: Any, tokens: int) -> tuple[list[int], list[int]]:
    """Token ids for training, at most `tokens`, and of the documents held out."""
    train: list[int] = []
    held_out: list[int] = []
    for number, ids in enumerate(_token_ids(path, tokenizer)):
        (held_out if number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1 else train).extend(ids)
        if len(train) >= tokens and len(held_out) > _HELD_OUT_TOKENS:
            break
    return train[:tokens], held_out


def _token_ids(path: Path, tokenizer: Any) -> Iterator[list[int]]:
    end = tokenizer.eos_token_id
    pieces: list[str] = []
    for document in documents(path):
        pieces.append(document)
        if len(pieces) == _PIECES_AT_ONCE:
            yield from ([*ids, end] for ids in tokenizer(pieces, verbose=False)["input_ids"])
            pieces = []
    if pieces:
        yield from ([*ids, end] for ids in tokenizer(pieces, verbose=False)["input_ids"])


def _cut(ids: Sequence[int], window: int) -> npt.NDArray[np.uint16]:
    """(blocks, window + 1): each block's last token is the next one's first, so none goes unpredicted."""
    blocks = (len(ids) - 1) // window
    if blocks < 1:
        return np.zeros((0, window + 1), np.uint16)
    flat = np.asarray(ids[: blocks * window + 1], np.uint16)
    return np.lib.stride_tricks.sliding_window_view(flat, window + 1)[::window]
