"""Texts one after the other, without padding, and in the last block only the tokens asked for: exact.

A classifier's logits depend on the last token of each text alone, and a completion's loss on the tokens
before those that are learned. So linear layers see the tokens of all texts as one matrix, attention is
computed text by text, and the last block's queries, projection and MLP are computed for what is asked only.
What a block answers for one text depends on no other, so that the blocks may be run in two parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.model.blocks import BLOCKS, KeysValues, Pack, block_of, embedded, parts_of, rotary
from tunesmith.model.encode import Ids
from tunesmith.model.recomputing import recomputed

if TYPE_CHECKING:
    import torch

__all__ = [
    "Past",
    "can_pack",
    "lower_states",
    "packed_features",
    "packed_logits",
    "packed_token_states",
    "read_past",
    "unwrapped",
    "upper_features",
]


Past = Sequence[KeysValues]
"""What each block keeps of a text that stands before many others: it is read once for all of them."""


def unwrapped(model: Any) -> Any:
    """The transformers model inside PEFT's wrapper; its adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def can_pack(model: Any) -> bool:
    """Whether the model's blocks are known; other architectures are padded."""
    config = model.config
    if config.model_type not in BLOCKS:
        return False
    return not (
        getattr(config, "sliding_window", None)
        or getattr(config, "add_cross_attention", False)
        or getattr(config, "scale_attn_by_inverse_layer_idx", False)
        or getattr(config, "reorder_and_upcast_attn", False)
    )


def packed_logits(model: Any, rows: Sequence[Ids], *, every_token: bool = False) -> torch.Tensor:
    """Logits of each text, (texts, labels); the same numbers as the model's own padded forward.

    With `every_token`, those at each token of each text: (tokens, labels).
    """
    logits: torch.Tensor = unwrapped(model).score(packed_features(model, rows, every_token=every_token))
    return logits


def packed_features(model: Any, rows: Sequence[Ids], *, every_token: bool = False) -> torch.Tensor:
    """What a classifier's head reads of each text, (texts, width), or of each token, (tokens, width)."""
    return packed_token_states(model, rows, _queries([len(row) for row in rows], every_token))


def packed_token_states(
    model: Any,
    rows: Sequence[Ids],
    queries: Sequence[int],
    before: Sequence[torch.Tensor] | None = None,
    past: Past | None = None,
) -> torch.Tensor:
    """What a head reads of the last `queries` tokens of each text, at least one: (queries of all, width).

    Texts that branch, or stand behind a `past`, say in `before` what sees what; every token sees the first:
    see `Pack`.
    """
    body = unwrapped(model).base_model
    return _end(body, *_begin(body, rows, queries, before), 0, past)


def read_past(model: Any, ids: Ids) -> Past:
    """Read a text, so that others can stand behind it."""
    body, kept = unwrapped(model).base_model, list[KeysValues]()
    states, pack = _begin(body, [ids], [1])
    _end(body, states, replace(pack, kept=kept), 0)
    return kept


def lower_states(model: Any, rows: Sequence[Ids], blocks: int) -> torch.Tensor:
    """What the first `blocks` blocks, fewer than all, make of the texts: (tokens, width)."""
    body = unwrapped(model).base_model
    states, pack = _begin(body, rows, [1] * len(rows))
    block = block_of(body.config.model_type)
    for layer in parts_of(body).blocks[:blocks]:
        states = block(layer, states, pack, False)
    return states


def upper_features(
    model: Any, states: torch.Tensor, lengths: Sequence[int], blocks: int, *, every_token: bool = False
) -> torch.Tensor:
    """As `packed_features`, of what `lower_states` gives."""
    body = unwrapped(model).base_model
    queries, positions = _queries(lengths, every_token), _positions(lengths, states.device)
    return _end(body, states, _pack(body, states, lengths, queries, positions), blocks)


def _queries(lengths: Sequence[int], every_token: bool) -> Sequence[int]:
    """How many of each text's last tokens a classifier's head reads."""
    return lengths if every_token else [1] * len(lengths)


def _begin(
    body: Any, rows: Sequence[Ids], queries: Sequence[int], before: Sequence[torch.Tensor] | None = None
) -> tuple[torch.Tensor, Pack]:
    """The embedded tokens, (tokens, width), and where each text lies in them."""
    import torch

    ids = torch.from_numpy(np.concatenate(rows).astype(np.int64)).to(body.device)  # (tokens,)
    lengths = [len(row) for row in rows]
    # how far back the first token is
    positions = torch.cat([back[:, 0] for back in before]) if before else _positions(lengths, body.device)
    states = embedded(body, ids, positions)
    return states, replace(_pack(body, states, lengths, queries, positions), before=before)


def _end(body: Any, states: torch.Tensor, pack: Pack, blocks: int, past: Past | None = None) -> torch.Tensor:
    """Run all but the first `blocks` blocks: (queries, width)."""
    block, parts = block_of(body.config.model_type), parts_of(body)
    lower = recomputed(body, block)
    packs = [pack if past is None else replace(pack, past=kept) for kept in past or parts.blocks]
    for layer, seen in zip(parts.blocks[blocks:-1], packs[blocks:-1], strict=True):
        states = lower(layer, states, seen, False)
    # the last one's gradients are the first to be computed: there is nothing to save
    only_asked = len(pack.asked) < len(states)
    features: torch.Tensor = parts.norm(block(parts.blocks[-1], states, packs[-1], only_asked))
    return features


def _positions(lengths: Sequence[int], device: Any) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).to(device)  # (tokens,)


def _pack(
    body: Any, states: torch.Tensor, lengths: Sequence[int], queries: Sequence[int], positions: torch.Tensor
) -> Pack:
    import torch

    ends = np.cumsum(lengths)
    asked = np.concatenate([np.arange(end - count, end) for end, count in zip(ends, queries, strict=True)])
    return Pack(lengths, queries, torch.from_numpy(asked).to(states.device), rotary(body, states, positions))
