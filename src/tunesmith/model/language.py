"""What a language model makes of the tokens that are learned: their loss, and how many it would have written.

The body is run as far as the last learned token of each row; the head reads the tokens before learned ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Ids, micro_batches, pad
from tunesmith.model.packed import can_pack, packed_token_states, unwrapped
from tunesmith.model.targets import EncodedTargets
from tunesmith.processes import ALONE, Processes

if TYPE_CHECKING:
    import torch

__all__ = ["Bools", "TokenSums", "head_weight", "learned_loss", "row_log_likelihoods", "token_sums"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The rows that have something to learn, cut after what is needed to predict it."""

    rows: list[Ids]
    places: list[npt.NDArray[np.int64]]
    """Of each row, the tokens whose next token is learned"""
    targets: npt.NDArray[np.int64]
    """(asked,) those next tokens, of all rows"""


@dataclass(frozen=True, slots=True)
class TokenSums:
    """What was found on the learned tokens of each row, (rows,); rows can be drawn and added."""

    tokens: npt.NDArray[np.int64]
    log_loss: npt.NDArray[np.float64]
    """Summed cross-entropy in nats"""
    correct: npt.NDArray[np.int64]
    """Tokens that would have been written: the likeliest after what stands before them"""

    def figures(self) -> dict[str, float]:
        """`token_accuracy`, and `log_loss` a token with its `perplexity`, over all rows."""
        tokens = int(self.tokens.sum())
        assert tokens, "there is nothing to predict"
        log_loss = float(self.log_loss.sum()) / tokens
        # what is finite stays finite
        perplexity = float(np.exp(min(log_loss, 700.0)))
        return {
            "token_accuracy": float(self.correct.sum()) / tokens,
            "log_loss": log_loss,
            "perplexity": perplexity,
        }


def head_weight(model: Any) -> torch.Tensor:
    """(vocabulary, width) of a language model that can be packed: its head is a matrix and no more."""
    head = unwrapped(model).get_output_embeddings()
    assert head.bias is None, "the head adds to its product"
    weight: torch.Tensor = head.weight
    return weight


def learned_loss(model: Any, texts: EncodedTargets, rows: Sequence[int], pad_token_id: int) -> torch.Tensor:
    """The cross-entropy in nats of the learned tokens of `rows`, summed; gradients flow.

    The first token of a row cannot be predicted, whatever `texts` says of it.
    """
    from torch.nn.functional import cross_entropy

    asked = _asked(texts, rows)
    if not asked.rows:
        return _nothing(model, texts.encoded[rows[0]], pad_token_id)
    if can_pack(model):
        # it defines a gradient of its own, for which torch has to be there when it is imported
        from tunesmith.model.cross_entropy import summed_cross_entropy

        states = _states(model, asked)
        return summed_cross_entropy(states, head_weight(model), _on(states, asked.targets))
    logits = _logits(model, asked, pad_token_id)
    return cross_entropy(logits, _on(logits, asked.targets), reduction="sum")


def row_log_likelihoods(
    model: Any, texts: EncodedTargets, rows: Sequence[int], pad_token_id: int
) -> torch.Tensor:
    """(rows,) the log-likelihood in nats of the learned tokens of each of `rows`, summed; gradients flow."""
    import torch

    asked = _asked(texts, rows)
    if not asked.rows:
        return _nothing(model, texts.encoded[rows[0]], pad_token_id).expand(len(rows))
    found = _log_likelihoods(model, asked, pad_token_id)  # (asked,)
    owners = torch.from_numpy(np.repeat(np.arange(len(rows)), texts.counts[np.asarray(rows)]))
    return found.new_zeros(len(rows)).index_add(0, owners.to(found.device), found)


def _log_likelihoods(model: Any, asked: _Asked, pad_token_id: int) -> torch.Tensor:
    import torch

    if can_pack(model):
        from tunesmith.model.cross_entropy import token_log_likelihoods

        states = _states(model, asked)
        return token_log_likelihoods(states, head_weight(model), _on(states, asked.targets))
    shares = torch.log_softmax(_logits(model, asked, pad_token_id), -1)
    return shares.gather(1, _on(shares, asked.targets)[:, None])[:, 0]


def token_sums(
    model: Any,
    texts: EncodedTargets,
    pad_token_id: int,
    micro_batch_tokens: int,
    processes: Processes = ALONE,
) -> TokenSums:
    """Judge the learned tokens of each row, in the order given; the model is put in evaluation mode.

    Several processes judge a share each, and all get the same numbers that one alone would.
    """
    import torch

    model.eval()
    log_loss = torch.zeros(len(texts), dtype=torch.float64)
    correct = torch.zeros(len(texts), dtype=torch.float64)
    rows = np.flatnonzero(texts.counts)
    lengths = texts.encoded.lengths[rows]
    groups = micro_batches(lengths, micro_batch_tokens, packed=can_pack(model))
    with torch.inference_mode():
        for group, counts in processes.turns([rows[group].tolist() for group in groups]):
            losses, hits = _judged(model, _asked(texts, group), pad_token_id)
            if counts:
                owners = np.repeat(group, texts.counts[group])
                np.add.at(log_loss.numpy(), owners, losses)
                np.add.at(correct.numpy(), owners, hits)
    processes.add_up([log_loss, correct])
    return TokenSums(texts.counts, log_loss.numpy(), correct.numpy().astype(np.int64))


def _asked(texts: EncodedTargets, rows: Sequence[int]) -> _Asked:
    kept, places, targets = [], [], [np.zeros(0, np.int64)]
    for row in rows:
        ids = texts.encoded[row]
        before = np.flatnonzero(texts.learned_of(row)[1:])
        if len(before):
            kept.append(ids[: before[-1] + 1])
            places.append(before)
            targets.append(ids[before + 1].astype(np.int64))
    return _Asked(kept, places, np.concatenate(targets))


def _states(model: Any, asked: _Asked) -> torch.Tensor:
    """What the head reads before each learned token, (asked, width)."""
    import torch

    firsts = np.array([places[0] for places in asked.places])
    queries = np.array([len(row) for row in asked.rows]) - firsts
    states = packed_token_states(model, asked.rows, queries.tolist())  # (queries, width)
    if len(states) == len(asked.targets):
        return states
    # between the answers of a conversation stand tokens that nobody has to predict
    begins = np.cumsum(queries) - queries - firsts
    places = np.concatenate([at + begin for at, begin in zip(asked.places, begins, strict=True)])
    return states[torch.from_numpy(places).to(states.device)]


def _logits(model: Any, asked: _Asked, pad_token_id: int) -> torch.Tensor:
    """(asked, vocabulary) by the model's own padded forward."""
    import torch

    ids, mask = pad(asked.rows, pad_token_id)
    device = next(model.parameters()).device
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
    owners = np.repeat(np.arange(len(asked.rows)), [len(places) for places in asked.places])
    picked = logits[torch.from_numpy(owners), torch.from_numpy(np.concatenate(asked.places))]
    return picked.to(torch.promote_types(picked.dtype, torch.float32))  # type: ignore[no-any-return]


def _judged(model: Any, asked: _Asked, pad_token_id: int) -> tuple[npt.NDArray[np.float64], Bools]:
    """(asked,) the cross-entropy of each learned token, and whether it is the likeliest."""
    import torch

    if can_pack(model):
        from tunesmith.model.cross_entropy import log_shares

        parts = log_shares(_states(model, asked), head_weight(model))
    else:
        logits = _logits(model, asked, pad_token_id)
        parts = iter([(slice(None), torch.log_softmax(logits, -1))])
    losses, hits = [], []
    for part, shares in parts:
        targets = _on(shares, asked.targets[part])
        losses.append(-shares.gather(1, targets[:, None])[:, 0])
        hits.append(shares.argmax(-1) == targets)
    return torch.cat(losses).double().cpu().numpy(), torch.cat(hits).cpu().numpy()


def _on(values: torch.Tensor, targets: npt.NDArray[np.int64]) -> torch.Tensor:
    import torch

    return torch.from_numpy(targets).to(values.device)


def _nothing(model: Any, row: Ids, pad_token_id: int) -> torch.Tensor:
    """A loss of zero that can go backward, after a pass: processes that share a model take it together."""
    one = _Asked([row[:1]], [np.zeros(1, np.int64)], np.zeros(1, np.int64))
    states = _states(model, one) if can_pack(model) else _logits(model, one, pad_token_id)
    return states.sum() * 0.0
