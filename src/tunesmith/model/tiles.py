"""Where each text's queries and keys stand for attention: head by head, texts of like length side by side.

A product of a few matrices of fifty rows costs more to begin than to compute. Short texts are filled up to
the longest of some that are nearly as long, and computed at once; what fills them up is seen by no token, as
it stands behind all of a text. Long texts stand alone, in tiles of queries that meet no key behind their end,
which saves almost half of their scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["TILE", "Layout", "Tile", "layout_of"]

TILE = 128
"""Queries of one tile; longer texts stand alone"""
# a text joins longer ones where it has at least this share of the longest's tokens
_LIKE = 0.8
# scores of one head that are computed at once: more would not stay in a processor's cache
_MOST_SCORES = 1 << 16

_Ints = npt.NDArray[np.int64]


class Tile(NamedTuple):
    """What is computed at once, of all heads of some texts."""

    of_queries: slice
    """Rows of the texts' queries, as `Layout.query_rows` has them"""
    of_keys: slice
    matrices: int
    """Texts × heads: as many are multiplied at once"""
    queries: slice
    """Which queries of each text"""
    keys: slice
    """Which keys of each text they may see"""
    sees_all: bool
    """Whether these are all keys of the texts"""
    positions: torch.Tensor | None
    """(texts, queries) where each query stands among its text's keys; None: the last stands at the last"""

    def query_part(self, rows: torch.Tensor) -> torch.Tensor:
        """(query rows, head width) -> (texts × heads, queries, head width), in place."""
        return self._matrices(rows[self.of_queries])[:, self.queries]

    def key_part(self, rows: torch.Tensor) -> torch.Tensor:
        """(key rows, head width) -> (texts × heads, keys, head width), in place."""
        return self._matrices(rows[self.of_keys])[:, self.keys]

    def _matrices(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.view(self.matrices, -1, rows.shape[-1])


@dataclass(frozen=True, slots=True)
class Layout:
    """Tokens × heads -> rows for attention, and back."""

    tiles: tuple[Tile, ...]
    query_rows: torch.Tensor
    """(query rows,) each by the token × heads + head that stands in it"""
    key_rows: torch.Tensor
    query_places: torch.Tensor
    """(query tokens × heads,) the row of each"""
    key_places: torch.Tensor
    fillers: torch.Tensor
    """Rows of queries that fill up a text"""


class _Rows(NamedTuple):
    of: _Ints
    """(rows,) the token × heads + head that stands in each"""
    real: npt.NDArray[np.bool_]
    """Whether a row is no filler"""


@lru_cache(maxsize=8)
def layout_of(
    lengths: tuple[int, ...], queries: tuple[int, ...], heads: int, device: Any, *, from_last: bool = False
) -> Layout:
    """The layout of texts of so many tokens, of each of which the last `queries` ask.

    With `from_last`, all queries of a text are of its last token. A step's blocks share a layout.
    """
    import torch

    of, asked = np.asarray(lengths), np.asarray(queries)
    # where all ask from the last token, even as many queries as tokens do not stand one at each
    whole = np.zeros_like(of, np.bool_) if from_last else of == asked
    groups = list(_groups(of, asked, whole))
    query_rows, real = _joined(_rows(asked, group, heads) for group in groups)
    key_rows, real_keys = _joined(_rows(of, group, heads) for group in groups)

    def tensor(values: _Ints) -> torch.Tensor:
        return torch.from_numpy(values).to(device)

    return Layout(
        tuple(_tiles(of, asked, groups, heads, tensor, from_last=from_last)),
        tensor(query_rows),
        tensor(key_rows),
        tensor(_places(query_rows, real)),
        tensor(_places(key_rows, real_keys)),
        tensor(np.flatnonzero(~real)),
    )


def _groups(lengths: _Ints, queries: _Ints, whole: npt.NDArray[np.bool_]) -> Iterator[_Ints]:
    """Texts that are computed together: those of which the `whole` asks stand apart."""
    for alike in (whole, ~whole):
        # the longest first: it is what others are filled up to
        order = np.lexsort((-queries, -lengths))
        yield from _cut(order[alike[order]], lengths.tolist(), queries.tolist())


def _cut(texts: _Ints, lengths: Sequence[int], queries: Sequence[int]) -> Iterator[_Ints]:
    """Cut texts, the longest first, where the next one should not join those before."""
    begin = asked = 0
    for at, text in enumerate(texts.tolist()):
        longest, asked = lengths[texts[begin]], max(asked, queries[text])
        fits = asked <= TILE and (at + 1 - begin) * longest * asked <= _MOST_SCORES
        if at > begin and not (fits and lengths[text] >= _LIKE * longest):
            yield texts[begin:at]
            begin, asked = at, queries[text]
    if len(texts):
        yield texts[begin:]


def _rows(counts: _Ints, group: _Ints, heads: int) -> _Rows:
    """The rows of a group: (texts, heads, longest) of it, flat; a text's last token fills it up."""
    starts, own = np.cumsum(counts)[group] - counts[group], counts[group, None]
    at = np.arange(own.max())
    tokens = starts[:, None] + np.minimum(at, own - 1)  # (texts, longest)
    rows = tokens[:, None] * heads + np.arange(heads)[:, None]
    return _Rows(rows.reshape(-1), np.repeat(at < own, heads, axis=0).reshape(-1))


def _joined(parts: Iterable[_Rows]) -> _Rows:
    rows, real = zip(*parts, strict=True)
    return _Rows(np.concatenate(rows), np.concatenate(real))


def _places(rows: _Ints, real: npt.NDArray[np.bool_]) -> _Ints:
    """The row of each token × heads + head."""
    (found,) = np.nonzero(real)
    places = np.empty_like(found)
    places[rows[found]] = found
    return places


def _tiles(
    lengths: _Ints,
    queries: _Ints,
    groups: Sequence[_Ints],
    heads: int,
    tensor: Callable[[_Ints], torch.Tensor],
    *,
    from_last: bool,
) -> Iterator[Tile]:
    query = key = 0
    for group in groups:
        longest, asked = int(lengths[group].max()), int(queries[group].max())
        whole = bool((lengths[group] == queries[group]).all())
        positions = None
        if from_last or (not whole and len(group) > 1):
            positions = tensor(_positions(lengths[group, None], queries[group, None], from_last=from_last))
        of_queries = slice(query, query := query + len(group) * heads * asked)
        of_keys = slice(key, key := key + len(group) * heads * longest)
        for begin in range(0, asked, TILE):
            end = min(begin + TILE, asked)
            sees = slice(0, longest if from_last else longest - asked + end)
            stand = None if positions is None else positions[:, begin:end]
            yield Tile(of_queries, of_keys, len(group) * heads, slice(begin, end), sees, end == asked, stand)


def _positions(lengths: _Ints, queries: _Ints, *, from_last: bool) -> _Ints:
    """(texts, 1) each -> (texts, most queries), where each query stands; a text's last fills it up."""
    at = np.arange(queries.max())
    return lengths - 1 + 0 * at if from_last else lengths - queries + np.minimum(at, queries - 1)
