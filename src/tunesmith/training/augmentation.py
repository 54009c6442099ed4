"""More examples out of few texts: what is done to a text each time it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Ids

if TYPE_CHECKING:
    import torch

__all__ = ["Augmentation"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How more than one example is made of a text while training."""

    target_replication: float = 0.0
    """The share of a text's loss for which each of its tokens is asked for the label; the rest is the last's.

    Every beginning of a text is then an example as well, which counts in proportion to its length. Source:
    Lipton et al., Learning to Diagnose with LSTM Recurrent Neural Networks, 2015.
    """
    token_dropout: float = 0.0
    """The chance of each token to be left out, anew each time its text is seen.

    Source: Iyyer et al., Deep Unordered Composition Rivals Syntactic Methods for Text Classification, 2015.
    """

    def of_text(self, ids: Ids) -> Ids:
        """The tokens that are left, at least one; drawn from torch's generator, which each step seeds."""
        import torch

        if not self.token_dropout:
            return ids
        kept = ids[(torch.rand(len(ids)) >= self.token_dropout).numpy()]
        return kept if len(kept) else ids[-1:]

    def shares_of_tokens(self, lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """(tokens,) how much each counts; they sum to 1 over each text."""
        import torch

        counted = np.concatenate([np.arange(1, length + 1) for length in lengths])  # 1, 2, 3, … in each text
        shares = self.target_replication * counted / np.repeat(lengths * (lengths + 1) / 2, lengths)
        shares[np.cumsum(lengths) - 1] += 1 - self.target_replication
        return torch.from_numpy(shares)
