"""Token ids -> what a graph is fed, all of it int64.

Packed: the texts' tokens lie one after the other, and only attention sees them side by side.

- `input_ids`, `position_ids` (tokens,)
- `places` (texts, longest): where the token at each place of each text lies; behind a text's end, anywhere
- `back` (tokens,): at which place, counted over (texts × longest), each token stands
- `last` (texts,): the place of each text's last token
- `asked` (texts,): where each text's last token lies

Padded: `input_ids` and `attention_mask` (texts, longest), as transformers has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Ids

__all__ = ["PACKED", "PADDED", "Feeds", "packed_feeds", "padded_feeds"]

Feeds = dict[str, npt.NDArray[np.int64]]

PACKED = ("input_ids", "position_ids", "places", "back", "last", "asked")
PADDED = ("input_ids", "attention_mask")


def packed_feeds(rows: Sequence[Ids]) -> Feeds:
    """The feeds of a packed graph; every text has one token at least."""
    lengths = np.array([len(row) for row in rows], np.int64)
    starts = np.cumsum(lengths) - lengths
    longest, tokens = int(lengths.max()), int(lengths.sum())
    positions = np.arange(tokens) - np.repeat(starts, lengths)
    places = np.minimum(starts[:, None] + np.arange(longest), tokens - 1)
    back = np.repeat(np.arange(len(rows)) * longest, lengths) + positions
    ids = np.concatenate(rows).astype(np.int64)
    return dict(zip(PACKED, (ids, positions, places, back, lengths - 1, starts + lengths - 1), strict=True))


def padded_feeds(rows: Sequence[Ids], pad_token_id: int) -> Feeds:
    """The feeds of a padded graph: padding stands on the right."""
    lengths = np.array([len(row) for row in rows], np.int64)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = np.full(mask.shape, pad_token_id, np.int64)
    ids[mask.astype(bool)] = np.concatenate(rows)
    return dict(zip(PADDED, (ids, mask), strict=True))
