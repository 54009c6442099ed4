"""What each token of a text does for an answer: integrated gradients along the embeddings.

Source: Sundararajan, Taly & Yan, Axiomatic Attribution for Deep Networks, 2017. What is explained is the
log-odds of a label. The path leads in a straight line to the text from one of as many tokens without words:
padding, which for most bases is end-of-text, or the mean of all embeddings. A model may be sure of a label
even there; of the two the one is taken that speaks less for the label, so that there is something to explain.
Zeros would be a third, but models with RMSNorm turn sharply there. The integral is Gauss-Legendre's sum over
ever more points, until the scores of the tokens sum to the difference of both ends (completeness).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Ids
from tunesmith.model.packed import unwrapped

if TYPE_CHECKING:
    import torch

__all__ = ["POINTS", "Attribution", "InTurn", "at_once", "attribute"]

InTurn = Callable[[Callable[[], Any]], Any]
"""Runs a piece of the work when its turn has come, and gives back what came of it"""

POINTS = (16, 32, 64, 128)
"""How many points of the path are looked at, until the scores are complete."""
_COMPLETE = 0.05
# log-odds that nobody would tell apart
_NEGLIGIBLE = 0.01


def at_once(work: Callable[[], Any]) -> Any:
    """The turn of who waits for nobody."""
    return work()


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """`scores` (tokens,) sum to `log_odds` minus `baseline`, those where the path starts, but for `gap`."""

    scores: npt.NDArray[np.float64]
    log_odds: float
    baseline: float
    points: int

    @property
    def gap(self) -> float:
        """How far the scores are from summing to the difference."""
        return float(self.scores.sum()) - (self.log_odds - self.baseline)

    @property
    def complete(self) -> bool:
        """Whether the gap is small beside the difference."""
        return abs(self.gap) <= max(_NEGLIGIBLE, _COMPLETE * abs(self.log_odds - self.baseline))


def attribute(
    model: Any,
    ids: Ids,
    label_id: int,
    pad_token_id: int,
    *,
    micro_batch_tokens: int,
    several: bool = False,
    points: tuple[int, ...] = POINTS,
    in_turn: InTurn = at_once,
) -> Attribution:
    """The scores of the tokens `ids` (tokens,) for a label; of a multi-label model where `several`.

    At most `micro_batch_tokens` tokens are computed in one turn, or one copy of the text where it is longer.
    """
    model.eval()
    text, start, log_odds, baseline = in_turn(lambda: _ends(model, ids, label_id, pad_token_id, several))
    copies = max(1, micro_batch_tokens // len(ids))
    for count in points:
        scores = _integral(model, start, text, label_id, several, count, copies, in_turn)
        found = Attribution(scores, log_odds, baseline, count)
        if found.complete:
            break
    return found


def _ends(
    model: Any, ids: Ids, label_id: int, pad_token_id: int, several: bool
) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    """The text and where its path starts, both (tokens, width), with the log-odds of each."""
    import torch

    embedding = unwrapped(model).get_input_embeddings()
    with torch.no_grad():
        tokens = torch.from_numpy(ids.astype(np.int64)).to(embedding.weight.device)
        text = embedding(tokens)  # (tokens, width)
        padding = embedding(torch.full_like(tokens, pad_token_id))
        ends = torch.stack([text, padding, embedding.weight.mean(dim=0).expand_as(text)])
        log_odds, *without_words = _log_odds(model, ends, label_id, several).double().tolist()
        baseline = min(without_words)
        start = ends[1 + without_words.index(baseline)]
    return text, start, log_odds, baseline


def _integral(
    model: Any,
    start: torch.Tensor,
    text: torch.Tensor,
    label_id: int,
    several: bool,
    count: int,
    copies: int,
    in_turn: InTurn,
) -> npt.NDArray[np.float64]:
    import torch

    def summed(places: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> torch.Tensor:
        at = torch.from_numpy(places).to(text)[:, None, None]
        path = (start + at * (text - start)).requires_grad_()  # (points, tokens, width)
        answered = _log_odds(model, path, label_id, several).sum()
        (gradients,) = torch.autograd.grad(answered, path)
        return (torch.from_numpy(weights)[:, None, None] * gradients.double().cpu()).sum(dim=0)

    nodes, weights = np.polynomial.legendre.leggauss(count)
    # from [-1, 1] to the path's [0, 1]
    places, weights = (nodes + 1) / 2, weights / 2
    total = torch.zeros(text.shape, dtype=torch.float64)
    for first in range(0, count, copies):
        these = slice(first, first + copies)
        total += in_turn(partial(summed, places[these], weights[these]))
    return np.asarray((total * (text - start).double().cpu()).sum(dim=-1))


def _log_odds(model: Any, embeddings: torch.Tensor, label_id: int, several: bool) -> torch.Tensor:
    """(texts,) of embedded texts (texts, tokens, width) of one length, of which none is padded."""
    import torch

    inner = unwrapped(model)
    states = inner.base_model(inputs_embeds=embeddings).last_hidden_state
    logits: torch.Tensor = inner.score(states[:, -1])  # (texts, labels)
    of_label = logits[:, label_id]
    if several:
        return of_label
    others = torch.cat([logits[:, :label_id], logits[:, label_id + 1 :]], dim=1)
    return of_label - torch.logsumexp(others, dim=1)
