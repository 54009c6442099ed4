"""Which rows of what is to be written share a prompt, and which a completion."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.chat import before_last_answer, messages_in
from tunesmith.data.dataset import Dataset
from tunesmith.data.texts import EMPTY_KEY, KEY_BYTES, Codes, Keys, same_text_key
from tunesmith.task import Kind

__all__ = ["keys_of_writing"]


def keys_of_writing(dataset: Dataset) -> tuple[Keys, Codes]:
    """(rows,) the key of each prompt, or of what is written without one, and a number for each completion."""
    kind = dataset.task.kind
    keys = _filled(dataset, lambda text, target: _key_of_writing(text, target, kind))
    written = _filled(dataset, lambda _, target: _exact_key(target))
    codes = np.unique(written, return_inverse=True)[1].astype(np.int32)
    codes[written == _exact_key("")] = -1
    return keys, codes


def _filled(dataset: Dataset, key_of: Callable[[str, str], int]) -> Keys:
    """A key of each row's text and target, this without white space around it; empty where there is none."""
    rows = (row for batch in dataset.batches() for row in _rows(batch))
    return np.fromiter((key_of(*row) for row in rows), np.uint64, len(dataset))


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    texts, targets = batch.column("text"), pc.utf8_trim_whitespace(batch.column("target"))
    return zip(texts.fill_null("").to_pylist(), targets.fill_null("").to_pylist(), strict=True)


def _key_of_writing(text: str, target: str, kind: Kind) -> int:
    key = same_text_key(_asked(text, kind) if kind in ("chat", "preference") else text)
    # what answers no prompt is told apart by itself
    return same_text_key(target) if key == EMPTY_KEY else key


def _exact_key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest(), "little")


def _asked(text: str, kind: Kind) -> str:
    """All that a chat says before its last answer; of a preference, which has its answers beside it, all."""
    said = before_last_answer(messages_in(text)) if kind == "chat" else messages_in(text)
    if not any(message["content"].strip() for message in said):
        return ""
    return "\n".join(f"<{message['role']}> {message['content']}" for message in said)
