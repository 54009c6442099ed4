"""Segments of text -> token ids, and which of them are to be predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded

__all__ = ["EncodedTargets"]


@dataclass(frozen=True, slots=True)
class EncodedTargets:
    """The token ids of many rows and which of them are learned."""

    encoded: Encoded
    learned: npt.NDArray[np.bool_]
    """(tokens,) beside `encoded.flat`: whether this token is to be predicted; never the first of a row"""

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(rows,) learned tokens; a row that has none left teaches nothing and is not trained on."""
        before = np.concatenate([[0], np.cumsum(self.learned, dtype=np.int64)])
        return np.diff(before[self.encoded.starts])
