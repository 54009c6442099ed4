"""Which texts say nearly the same: a story in two papers, a ticket sent again with a greeting."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["LEAST_ALIKE", "MOST_TEXTS", "near_groups"]

LEAST_ALIKE = 0.7
"""The least share of three-word runs, of all that two texts have, that both have."""
MOST_TEXTS = 2_000_000
"""Of more texts, sketches would take too much memory."""
_RUN = 3
_FEWEST_WORDS = 8
_PERMUTATIONS, _BANDS = 64, 16
# of a long text, the runs with the least hashes: a sample that does not hang on where they stand
_KEPT = 64
_AT_ONCE = 1 << 14  # texts; below 65,536, so that a row is a short number
_WORD = re.compile(r"[^\W_]+")
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64
)

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Bands = npt.NDArray[np.uint32]


def near_groups(texts: pa.ChunkedArray) -> Rows:
    """(texts,) for each text the first that says nearly the same, itself where there is none before it.

    What is alike is found by MinHash (Broder, 1997) and then compared run by run: no pair is told that shares
    less than `LEAST_ALIKE`, and of pairs that share as much one in a hundred may be missed. Groups are
    chains of pairs. Texts of fewer than eight words are near to none.
    """
    runs = _Runs(texts)
    rows, bands = _banded(runs)
    some = _shared(bands)
    return _first_of_each(len(texts), list(_alike(rows[some], bands[some], runs)))


@dataclass(slots=True)
class _Runs:
    """The three-word runs of texts, as hashes; each word is hashed once."""

    texts: pa.ChunkedArray
    words: dict[str, int] = field(default_factory=dict)

    def pieces(self) -> Iterator[tuple[int, Hashes, Rows]]:
        """Some texts at a time: the number of the first, the least runs of each, and how many each has."""
        start = 0
        for chunk in self.texts.chunks:
            for at in range(0, len(chunk), _AT_ONCE):
                yield start + at, *self._of(chunk.slice(at, _AT_ONCE))
            start += len(chunk)

    def of_row(self, row: int) -> Hashes:
        """(runs,) all of one text, ascending; none of a text that is too short."""
        words = _WORD.findall((self.texts[row].as_py() or "").lower())
        if len(words) < _FEWEST_WORDS:
            return np.zeros(0, np.uint64)
        return np.unique(_mixed(np.array([self._hash(word) for word in words], np.uint64)))

    def _of(self, texts: pa.Array) -> tuple[Hashes, Rows]:
        """The least runs of each text, one text after the other: words by Arrow, runs by NumPy."""
        words, row_of_word = self._words_of(texts)
        long = np.bincount(row_of_word, minlength=len(texts)) >= _FEWEST_WORDS
        within = (row_of_word[_RUN - 1 :] == row_of_word[: 1 - _RUN]) & long[row_of_word[: 1 - _RUN]]
        rows, hashes = row_of_word[: 1 - _RUN][within], _mixed(words)[within]
        # by row, and within it ascending: the second sort is of few bits, which takes no comparisons
        order = np.argsort(hashes)
        order = order[np.argsort(rows[order], kind="stable")]
        rows, hashes = rows[order], hashes[order]
        first = np.append(
            np.ones(min(1, rows.size), np.bool_), (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])
        )
        rows, hashes = rows[first], hashes[first]
        counts = np.bincount(rows, minlength=len(texts))
        place = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return hashes[place < _KEPT], np.minimum(counts, _KEPT)

    def _words_of(self, texts: pa.Array) -> tuple[Hashes, npt.NDArray[np.uint16]]:
        """The hash of every word, and the row it stands in."""
        lists = pc.split_pattern_regex(pc.utf8_lower(texts.fill_null("")), r"[^\p{L}\p{N}]+")
        coded = lists.flatten().dictionary_encode()
        hashes = np.array([self._hash(word) for word in coded.dictionary.to_pylist()], np.uint64)
        rows = np.repeat(np.arange(len(texts), dtype=np.uint16), lists.value_lengths().to_numpy())
        codes = coded.indices.to_numpy()
        # before the first word and behind the last one there may be nothing
        empty = pc.index(coded.dictionary, "").as_py()
        return hashes[codes][codes != empty], rows[codes != empty]

    def _hash(self, word: str) -> int:
        known = self.words.get(word)
        if known is not None:
            return known
        # Python's own hash differs from run to run, and splits must not
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return self.words.setdefault(word, int.from_bytes(digest, "little"))


def _mixed(words: Hashes) -> Hashes:
    """(words,) -> (runs,) a hash of every run of words."""
    count = max(0, words.size - _RUN + 1)
    mixed = np.zeros(count, np.uint64)
    for at in range(_RUN):
        mixed += words[at : count + at] * _FACTORS[at]
    return mixed ^ (mixed >> np.uint64(29))


def _banded(runs: _Runs) -> tuple[Rows, Bands]:
    """The rows that have runs, and (rows, bands) a number for each band of their sketch."""
    found = [(np.zeros(0, np.int64), np.zeros((0, _BANDS), np.uint32))]
    for start, hashes, counts in runs.pieces():
        told = np.flatnonzero(counts)
        if told.size:
            found.append((start + told, _bands(hashes, counts[told])))
    rows, bands = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(bands)


def _bands(hashes: Hashes, counts: Rows) -> Bands:
    from rensa import RMinHash

    ends = np.cumsum(counts, dtype=np.uint64)
    offsets = np.concatenate([np.zeros(1, np.uint64), ends])
    sketches = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, _PERMUTATIONS, seed=0)
    parts = np.array(sketches.to_rows(), np.uint64).reshape(-1, _BANDS, _PERMUTATIONS // _BANDS)
    # 32 of 64 bits: texts that meet by chance are compared, and found to differ
    bands: Bands = ((parts * _FACTORS).sum(axis=2) >> np.uint64(32)).astype(np.uint32)
    return bands


def _shared(bands: Bands) -> npt.NDArray[np.bool_]:
    """(rows,) which share a band with another."""
    shared = np.zeros(len(bands), np.bool_)
    for band in bands.T:
        order = np.argsort(band)
        same = band[order][1:] == band[order][:-1]
        shared[order[1:][same]] = shared[order[:-1][same]] = True
    return shared


def _alike(rows: Rows, bands: Bands, runs: _Runs) -> Iterator[tuple[int, int]]:
    """Pairs of these rows that are near: of texts that agree in a band, each with the first of them."""
    seen: set[tuple[int, int]] = set()
    for band in bands.T:
        _, first, which = np.unique(band, return_index=True, return_inverse=True)
        leaders = rows[first[which.ravel()]]
        pairs = {pair for pair in zip(leaders.tolist(), rows.tolist(), strict=True) if pair[0] != pair[1]}
        for one, other in sorted(pairs - seen):
            if _share(runs.of_row(one), runs.of_row(other)) >= LEAST_ALIKE:
                yield one, other
        seen |= pairs


def _share(first: Hashes, second: Hashes) -> float:
    """Jaccard's index of two sets."""
    both = np.intersect1d(first, second, assume_unique=True).size
    return both / (first.size + second.size - both)


def _first_of_each(count: int, pairs: list[tuple[int, int]]) -> Rows:
    """(texts,) the first of the group that pairs make."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), (count, count))
    _, group = connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    firsts: Rows = first[group].astype(np.int64)
    return firsts
