"""Which texts say nearly the same: a story in two papers, a ticket sent again with a greeting."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunesmith.data.texts import text_batches

__all__ = ["LEAST_ALIKE", "MOST_TEXTS", "near_groups"]

LEAST_ALIKE = 0.7
"""The least share of three-word runs, of all that two texts have, that both have."""
MOST_TEXTS = 2_000_000
"""Of more texts, a sketch of 768 bytes each would take too much memory."""
_RUN = 3
_FEWEST_WORDS = 8
_PERMUTATIONS, _BANDS = 64, 16
# of a long text, the runs with the least hashes: a sample that does not hang on where they stand
_KEPT = 64
_WORD = re.compile(r"[^\W_]+")
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def near_groups(texts: pa.ChunkedArray) -> Rows:
    """(texts,) for each text the first that says nearly the same, itself where there is none before it.

    What is alike is found by MinHash (Broder, 1997) and then compared run by run: no pair is told that shares
    less than `LEAST_ALIKE`, and of pairs that share as much one in a hundred may be missed. Groups are
    chains of pairs. Texts of fewer than eight words are near to none.
    """
    runs = _Runs(texts)
    some = [[runs.of(text)[:_KEPT] for text in batch] for batch in text_batches(texts)]
    counts = np.array([len(each) for batch in some for each in batch], np.int64)
    told = np.flatnonzero(counts)
    if not told.size:
        return np.arange(counts.size)
    kept = np.concatenate([np.concatenate(batch) for batch in some])
    del some
    offsets = np.cumsum([0, *counts[told]])
    rows = told[_flags(_sketches(kept, offsets))]
    return _first_of_each(counts.size, list(_alike(rows, runs)))


@dataclass(slots=True)
class _Runs:
    """The three-word runs of texts, as hashes; each word is hashed once."""

    texts: pa.ChunkedArray
    words: dict[str, int] = field(default_factory=dict)

    def of_row(self, row: int) -> Hashes:
        """Those of one text."""
        return self.of(self.texts[row].as_py() or "")

    def of(self, text: str) -> Hashes:
        """(runs,) the distinct ones, ascending; none of a text that is too short."""
        words = _WORD.findall(text.casefold())
        if len(words) < _FEWEST_WORDS:
            return np.zeros(0, np.uint64)
        known = self.words
        row = np.array([known[word] if word in known else self._added(word) for word in words], np.uint64)
        mixed = sum(row[at : len(row) - _RUN + 1 + at] * _FACTORS[at] for at in range(_RUN))
        return np.unique(mixed ^ (mixed >> np.uint64(29)))

    def _added(self, word: str) -> int:
        # Python's own hash differs from run to run, and splits must not
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return self.words.setdefault(word, int.from_bytes(digest, "little"))


def _sketches(hashes: Hashes, offsets: Rows) -> Any:
    from rensa import RMinHash

    return RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, offsets.astype(np.uint64), _PERMUTATIONS, seed=0
    )


def _flags(sketches: Any) -> npt.NDArray[np.bool_]:
    """(texts,) which share a band of their sketch with another."""
    from rensa import RMinHashLSH

    index = RMinHashLSH(threshold=LEAST_ALIKE, num_perm=_PERMUTATIONS, num_bands=_BANDS)
    return np.array(index.query_duplicate_flags_matrix_one_shot(sketches), np.bool_)


def _alike(rows: Rows, runs: _Runs) -> Iterator[tuple[int, int]]:
    """Pairs of these rows that are near: of texts that agree in a band, each with the first of them."""
    some = [runs.of_row(row)[:_KEPT] for row in rows.tolist()]
    offsets = np.cumsum([0, *map(len, some)])
    digests = _sketches(np.concatenate([np.zeros(0, np.uint64), *some]), offsets).to_rows()
    sketches = np.array(digests, np.uint32).reshape(-1, _BANDS, _PERMUTATIONS // _BANDS)
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        part = np.ascontiguousarray(sketches[:, band])
        _, first, which = np.unique(part, axis=0, return_index=True, return_inverse=True)
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
