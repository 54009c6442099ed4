"""Models that have weights in common -> those weights once in memory."""

from __future__ import annotations

import hashlib
from typing import Any
from weakref import WeakValueDictionary

from tunesmith.model.fingerprint import bytes_of

__all__ = ["SharedWeights"]

_Key = tuple[str, str, tuple[int, ...], str]


class SharedWeights:
    """Knows the weights of all models that went through it, as long as one of them lives.

    For models that only answer: training one would change the others.
    """

    def __init__(self) -> None:
        self._held: WeakValueDictionary[_Key, Any] = WeakValueDictionary()
        self._by_id: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def share(self, model: Any) -> int:
        """Give `model` weights that are known in place of its own equal ones; returns the bytes saved."""
        saved = 0
        # tied weights have several names, and stay tied
        for name, weight in list(model.named_parameters(remove_duplicate=False)):
            # those of a base under an adapter are known already, and need not be hashed again
            if self._by_id.get(id(weight)) is weight:
                continue
            held = self._held.setdefault(_key(weight), weight)
            self._by_id[id(held)] = held
            if held is not weight:
                owner, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(owner), attribute, held)
                saved += weight.nbytes
        return saved


def _key(weight: Any) -> _Key:
    sha256 = hashlib.sha256(bytes_of(weight)).hexdigest()
    return sha256, str(weight.dtype), tuple(weight.shape), str(weight.device)
