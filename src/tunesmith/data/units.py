"""Which rows never part in a split: equal texts, texts that say nearly the same, rows of one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import facts_of
from tunesmith.data.near import near_groups
from tunesmith.data.texts import Keys

__all__ = ["MOST_COMPARED", "Units", "near_firsts", "units_of"]

MOST_COMPARED = 100_000
"""Of more texts, those that are nearly the same may part: to find them would take long."""


@dataclass(frozen=True, slots=True)
class Units:
    """For each row of the data and of each given set, a number that rows share which must not part."""

    texts: Keys
    """The key of each text of the data"""
    data: Keys
    given: Mapping[str, Keys]
    near: bool
    """Whether texts that say nearly the same were looked for"""
    grouped: bool
    """Whether rows of one group are among them"""
    looser: Units | None = None
    """The same without nearness, for data that is so alike that a part would get nothing of a label"""

    def joined(self, what: str = "texts") -> str:
        """What stays together, in words; `what` rows hold."""
        same = f"equal and nearly equal {what}" if self.near else f"equal {what}"
        return f"rows of one group and {same}" if self.grouped else same


def units_of(
    dataset: Dataset,
    given: Mapping[str, Dataset],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    near: bool = True,
) -> Units:
    """Join what belongs together, within and across the sets.

    `groups` has the group of each row of the data, under the empty name, and of each given set. A unit's
    number is the least of its texts' keys: that of a text on its own is its own.
    """
    sets = [dataset, *given.values()]
    keys = np.concatenate([facts_of(each).keys for each in sets])
    links = []
    if groups is not None:
        links.append(_first_of_group([group for name in ("", *given) for group in groups[name]]))
    looser = _parted(keys, links, sets, given, near=False)
    if not near or dataset.task.writes or keys.size > MOST_COMPARED:
        return looser
    return replace(_parted(keys, [*links, near_firsts(sets)], sets, given, near=True), looser=looser)


def _parted(
    keys: Keys, links: Sequence[Any], sets: Sequence[Dataset], given: Mapping[str, Dataset], *, near: bool
) -> Units:
    units = _least_of_each(keys, links) if links else keys
    own, *others = np.split(units, np.cumsum([len(each) for each in sets])[:-1])
    return Units(
        keys[: own.size], own, dict(zip(given, others, strict=True)), near, grouped=len(links) > near
    )


def near_firsts(sets: Sequence[Dataset]) -> Any:
    """(rows of all sets,) for each the first that says nearly the same; found once for the same sets."""
    name = ("near", *(each.sha256 for each in sets))
    return sets[0].once(
        name,
        lambda: near_groups(
            pa.chunked_array([batch.column("text") for each in sets for batch in each.batches()])
        ),
    )


def _first_of_group(groups: Sequence[str]) -> Any:
    firsts: dict[str, int] = {}
    return np.array([firsts.setdefault(group, row) for row, group in enumerate(groups)], np.int64)


def _least_of_each(keys: Keys, links: Sequence[Any]) -> Keys:
    """The least key of all rows that keys and links join."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.arange(keys.size)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    ends = np.concatenate([first[which.ravel()], *links])
    starts = np.tile(rows, len(links) + 1)
    graph = coo_array((np.ones(starts.size, np.int8), (starts, ends)), (keys.size, keys.size))
    count, unit = connected_components(graph, directed=False)
    least = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, unit, keys)
    found: Keys = least[unit]
    return found
