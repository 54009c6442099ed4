"""News-like rows in any number: words in their frequency in the demo data, in sentences of random length."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np

__all__ = ["WORDS", "write_news"]

LABELS = ("World", "Sports", "Business", "Sci/Tech")
_CHUNK_ROWS = 20_000
WORDS = 40
"""As many as AG News has in a text, on average: 250 bytes."""


def write_news(path: Path, rows: int, words: int = WORDS, seed: int = 0) -> int:
    """Write a CSV of `rows` texts without meaning, nearly all distinct, of four labels; returns its bytes.

    `words` is how many a text has on average, from half of that to half as many more.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for chunk in _chunks(rows, words, seed):
            writer.writerows(chunk)
    return path.stat().st_size


def _chunks(rows: int, mean_words: int, seed: int) -> Iterator[list[tuple[str, str]]]:
    words, shares = _words()
    random = np.random.default_rng(seed)
    for start in range(0, rows, _CHUNK_ROWS):
        count = min(_CHUNK_ROWS, rows - start)
        lengths = random.integers(mean_words // 2, 3 * mean_words // 2 + 1, count)
        drawn = np.searchsorted(shares, random.random(int(lengths.sum())))
        pieces = np.split(words[drawn], np.cumsum(lengths)[:-1])
        labels = random.integers(0, len(LABELS), count).tolist()
        yield [(" ".join(piece), LABELS[label]) for piece, label in zip(pieces, labels, strict=True)]


def _words() -> tuple[
    np.ndarray[tuple[int], np.dtype[np.object_]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    """The words of the demo data, and how much of its text they and those before them make up."""
    lines = (files("tunesmith") / "demo" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    counts = Counter(word for line in lines for word in json.loads(line)["text"].split())
    shares = np.cumsum(list(counts.values())) / counts.total()
    return np.array(list(counts), np.object_), shares
