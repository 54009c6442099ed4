"""The rows of a step -> the share of each process."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

__all__ = ["shares"]


def shares(lengths: npt.NDArray[np.int64], processes: int) -> list[npt.NDArray[np.int64]]:
    """The places, in order, of the rows that each process takes; `lengths` are the tokens of the rows.

    The longest first, each to the process that has the fewest tokens: no two differ by more than the
    longest row. A pure function of its arguments, so that every process knows what the others do.
    """
    taken: list[list[int]] = [[] for _ in range(processes)]
    loads = [(0, process) for process in range(processes)]
    for place in np.argsort(-lengths, kind="stable").tolist():
        load, process = loads[0]
        taken[process].append(place)
        heapq.heapreplace(loads, (load + int(lengths[place]), process))
    return [np.sort(np.asarray(places, np.int64)) for places in taken]
