"""How likely each of a few names is as an answer: exact, and what names or prompts share is computed once.

Behind each prompt stand the tokens of all names as a tree: a token sees the prompt and the tokens before it
in its own name, and no others. One forward pass so answers for all names of many prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.model.encode import Encoded, Ids, micro_batches
from tunesmith.model.forward import Floats
from tunesmith.model.language import head_weight, token_sums
from tunesmith.model.packed import Past, can_pack, packed_token_states
from tunesmith.model.targets import EncodedTargets

if TYPE_CHECKING:
    import torch

__all__ = ["Trie", "log_likelihoods", "trie_of"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trie:
    """The tokens of all names as a tree; its nodes are the beginnings of names, but for the empty one."""

    tokens: Ids
    """(nodes,) the last token of each beginning; whole names are no nodes, for nothing follows them"""
    before: Ints
    """(nodes, nodes) how many tokens back a node sees another, -1 where it does not"""
    depths: Ints
    """(nodes,) how many tokens each beginning has"""
    parents: Ints
    """(edges,) the node that a token is asked after, counted from 1; 0: the prompt"""
    targets: Ints
    """(edges,) that token"""
    paths: npt.NDArray[np.bool_]
    """(names, edges) the edges of each name"""


def trie_of(names: Sequence[Ids]) -> Trie:
    """The tree of names that all end with an end of turn, so that none is another's beginning."""
    spelled = [tuple(name.tolist()) for name in names]
    nodes = sorted(
        {name[:end] for name in spelled for end in range(1, len(name))}, key=lambda node: (len(node), node)
    )
    places = {(): 0} | {node: place for place, node in enumerate(nodes, 1)}
    edges = sorted({name[:end] for name in spelled for end in range(1, len(name) + 1)})
    before = np.full((len(nodes), len(nodes)), -1, np.int64)
    for place, node in enumerate(nodes):
        for end in range(1, len(node) + 1):
            before[place, places[node[:end]] - 1] = len(node) - end
    return Trie(
        tokens=np.asarray([node[-1] for node in nodes], np.int32),
        before=before,
        depths=np.asarray([len(node) for node in nodes], np.int64),
        parents=np.asarray([places[edge[:-1]] for edge in edges], np.int64),
        targets=np.asarray([edge[-1] for edge in edges], np.int64),
        paths=np.asarray([[name[: len(edge)] == edge for edge in edges] for name in spelled], np.bool_),
    )


def log_likelihoods(
    model: Any,
    prompts: Sequence[Ids],
    names: Sequence[Ids],
    pad_token_id: int,
    micro_batch_tokens: int,
    past: Past | None = None,
) -> Floats:
    """(prompts, names) the logarithm of each name's probability after each prompt, in nats.

    `past` is of a text that stands before every prompt, where the model can be packed.
    """
    import torch

    model.eval()
    found = np.zeros((len(prompts), len(names)))
    if not can_pack(model):
        assert past is None, "who reads a past can be packed"
        for row, prompt in enumerate(prompts):
            texts = _one_by_one(prompt, names)
            found[row] = -token_sums(model, texts, pad_token_id, micro_batch_tokens).log_loss
        return found
    trie = trie_of(names)
    lengths = [len(prompt) + len(trie.tokens) for prompt in prompts]
    with torch.inference_mode():
        for group in micro_batches(lengths, micro_batch_tokens, packed=True):
            of_edges = _of_edges(model, [prompts[row] for row in group], trie, past)
            found[group] = of_edges @ trie.paths.T
    return found


def _of_edges(model: Any, prompts: Sequence[Ids], trie: Trie, past: Past | None) -> Floats:
    """(prompts, edges) the logarithm of each token's probability after its parent."""
    import torch

    from tunesmith.model.cross_entropy import log_shares

    weight = head_weight(model)
    rows = [np.concatenate([prompt, trie.tokens]) for prompt in prompts]
    behind = len(past[0][0]) if past else 0
    before = [_before(behind, len(prompt), trie).to(weight.device) for prompt in prompts]
    states = packed_token_states(model, rows, [1 + len(trie.tokens)] * len(rows), before, past)
    asked, places = np.unique(trie.targets, return_inverse=True)
    columns = torch.from_numpy(asked).to(weight.device)
    shares = torch.cat([part[:, columns] for _, part in log_shares(states, weight)])
    of_nodes = shares.double().cpu().numpy().reshape(len(rows), 1 + len(trie.tokens), len(asked))
    edges: Floats = of_nodes[:, trie.parents, places]
    return edges


def _before(past: int, length: int, trie: Trie) -> torch.Tensor:
    """(tokens, past + tokens) of a prompt with the tree behind it: how far back each token sees another."""
    import torch

    end = past + length
    at = np.concatenate([np.arange(end), end - 1 + trie.depths])
    before = at[past:, None] - at
    before[:, end:] = -1
    before[length:, end:] = trie.before
    return torch.from_numpy(before)


def _one_by_one(prompt: Ids, names: Sequence[Ids]) -> EncodedTargets:
    """A row for each name, in which the name is what is asked for."""
    rows = [np.concatenate([prompt, name]) for name in names]
    lengths = [len(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    learned = np.concatenate([np.arange(length) >= len(prompt) for length in lengths])
    return EncodedTargets(Encoded(np.concatenate(rows), starts, np.zeros(len(rows), np.bool_)), learned)
