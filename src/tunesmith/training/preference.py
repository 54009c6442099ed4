"""Direct preference optimisation: pairs of answers -> a loss that needs no reward model.

Source: Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded
from tunesmith.model.forward import Floats
from tunesmith.model.language import row_log_likelihoods, token_sums
from tunesmith.model.targets import EncodedTargets
from tunesmith.processes import ALONE, Processes
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.precision import Precision, autocast

if TYPE_CHECKING:
    import torch

__all__ = ["Preferring", "log_likelihoods", "margins_of", "pair_scores", "preferring_figures", "wins"]

_LIKELIHOODS = "log_likelihoods"


class Preferring:
    """Pairs of answers, the preferred one first: the loss of a pair falls as its reward margin rises.

    The margin is `beta` times how much likelier the preferred answer became than the base had it, as a
    logarithm, less the same of the rejected. `refer` must have been called before the first loss.
    """

    def __init__(self, targets: EncodedTargets, pad_token_id: int, beta: float) -> None:
        """`targets` has two rows for each pair: see `encode_targets`."""
        self.targets, self.beta = targets, beta
        self._pad_token_id = pad_token_id
        self._reference: Floats | None = None

    @property
    def encoded(self) -> Encoded:
        """The token ids of the answers with their prompts, two for each row."""
        return self.targets.encoded

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,) tokens of both answers of each pair, which pass through the model together."""
        lengths: npt.NDArray[np.int64] = self.encoded.lengths.reshape(-1, 2).sum(axis=1)
        return lengths

    @property
    def reference(self) -> Floats:
        """(2 × rows,) the log-likelihood that the base gives each answer."""
        assert self._reference is not None, "the base was not asked"
        return self._reference

    def weight(self, rows: Sequence[int]) -> float:
        """How many pairs there are: a long answer does not count for more."""
        return float(len(rows))

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        """The loss of `rows`, summed."""
        import torch
        from torch.nn.functional import logsigmoid

        answers = [2 * row + which for row in rows for which in (0, 1)]
        found = row_log_likelihoods(model, self.targets, answers, self._pad_token_id)
        given = torch.from_numpy(self.reference[answers]).to(found)
        rewards = self.beta * (found - given).reshape(-1, 2)
        return -logsigmoid(rewards[:, 0] - rewards[:, 1]).sum()

    def refer(
        self,
        model: Any,
        kept: Checkpoints,
        name: str,
        *,
        micro_batch_tokens: int,
        precision: Precision = "fp32",
        resume: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        """Ask the base, once: what it says is kept under `name`, and read again where a run goes on.

        Asked in the number format of training, the margins are 0 before the first step.
        """
        import torch

        found: dict[str, torch.Tensor] = {}
        if resume:
            processes.from_main(lambda: found.update(kept.kept(name) or {}))
        known = processes.gather([_LIKELIHOODS in found])[0].any()
        if not known:
            found[_LIKELIHOODS] = self._asked(model, micro_batch_tokens, precision, processes)
            processes.from_main(lambda: kept.keep(name, found))
        nothing = torch.zeros(len(self.targets), dtype=torch.float64)
        self._reference = processes.send(found.get(_LIKELIHOODS, nothing)).numpy()

    def _asked(
        self, model: Any, micro_batch_tokens: int, precision: Precision, processes: Processes
    ) -> torch.Tensor:
        import torch
        from accelerate import PartialState

        with autocast(PartialState().device, precision):
            found = log_likelihoods(model, self.targets, self._pad_token_id, micro_batch_tokens, processes)
        return torch.from_numpy(found)

    def figures(self, model: Any, micro_batch_tokens: int, processes: Processes = ALONE) -> dict[str, float]:
        """What a model makes of the pairs: see `preferring_figures`."""
        found = log_likelihoods(model, self.targets, self._pad_token_id, micro_batch_tokens, processes)
        return preferring_figures(margins_of(found, self.reference, self.beta))


def log_likelihoods(
    model: Any,
    targets: EncodedTargets,
    pad_token_id: int,
    micro_batch_tokens: int,
    processes: Processes = ALONE,
) -> Floats:
    """(answers,) the log-likelihood of each answer in nats, summed over its tokens."""
    found: Floats = -token_sums(model, targets, pad_token_id, micro_batch_tokens, processes).log_loss
    return found


def margins_of(found: Floats, reference: Floats, beta: float) -> Floats:
    """(pairs,) the reward margin of each pair, of the log-likelihoods of its answers: (2 × pairs,)."""
    rewards = beta * (found - reference).reshape(-1, 2)
    margins: Floats = rewards[:, 0] - rewards[:, 1]
    return margins


def pair_scores(margins: Floats) -> dict[str, Floats]:
    """What each pair scores: `preference_loss`, `reward_accuracy` and `reward_margin`, each (pairs,)."""
    return {
        "preference_loss": np.logaddexp(0.0, -margins),
        "reward_accuracy": wins(margins),
        "reward_margin": margins,
    }


def preferring_figures(margins: Floats) -> dict[str, float]:
    """The mean of each of `pair_scores` over pairs, one at least."""
    return {name: float(values.mean()) for name, values in pair_scores(margins).items()}


def wins(margins: Floats) -> Floats:
    """(pairs,) 1 where the preferred answer wins, 0 where the rejected does, and half where neither does."""
    won: Floats = (1 + np.sign(margins)) / 2
    return won
