"""Texts one after the other, without padding, and in the last block only what a classifier reads: exact.

A classifier's logits depend on the last token of each text alone. So linear layers see the tokens of all
texts as one matrix, attention is computed text by text, and the last block's queries, projection and MLP
are computed for the last tokens only. Modules are called, not copied: adapters put in their place work.
What a block answers for one text depends on no other, so that the blocks may be run in two parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.model.dropout import add_dropped, drop
from tunesmith.model.encode import Ids
from tunesmith.model.scoring import Scoring

if TYPE_CHECKING:
    import torch

__all__ = [
    "PACKED_TYPES",
    "Parts",
    "add_packed_method",
    "can_pack",
    "lower_states",
    "packed_features",
    "packed_logits",
    "parts_of",
    "unwrapped",
    "upper_features",
]


@dataclass(frozen=True, slots=True)
class _Pack:
    """Where each text lies in the packed tokens."""

    lengths: list[int]
    last: torch.Tensor
    """(texts,) the index of each text's last token"""
    rotary: tuple[torch.Tensor, torch.Tensor] | None
    """cos and sin, each (tokens, rotary dims)"""


@dataclass(frozen=True, slots=True)
class Parts:
    """A body from the bottom to the top."""

    embeddings: tuple[Any, ...]
    blocks: Any
    norm: Any


Block = Callable[[Any, "torch.Tensor", _Pack, bool], "torch.Tensor"]
_METHOD = "tunesmith_packed"


def unwrapped(model: Any) -> Any:
    """The transformers model inside PEFT's wrapper; its adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def can_pack(model: Any) -> bool:
    """Whether `packed_logits` knows the model's blocks; other architectures are padded."""
    config = model.config
    if config.model_type not in PACKED_TYPES:
        return False
    return not (
        getattr(config, "sliding_window", None)
        or getattr(config, "add_cross_attention", False)
        or getattr(config, "scale_attn_by_inverse_layer_idx", False)
        or getattr(config, "reorder_and_upcast_attn", False)
    )


def packed_logits(model: Any, rows: Sequence[Ids]) -> torch.Tensor:
    """Logits of each text, (texts, labels); the same numbers as the model's own padded forward."""
    logits: torch.Tensor = unwrapped(model).score(packed_features(model, rows))
    return logits


def packed_features(model: Any, rows: Sequence[Ids]) -> torch.Tensor:
    """What the head reads of each text, (texts, width)."""
    body = unwrapped(model).base_model
    states, pack = _begin(body, rows)
    return _end(body, states, pack, 0)


def lower_states(model: Any, rows: Sequence[Ids], blocks: int) -> torch.Tensor:
    """What the first `blocks` blocks, fewer than all, make of the texts: (tokens, width)."""
    body = unwrapped(model).base_model
    states, pack = _begin(body, rows)
    block = _block_of(body.config.model_type)
    for layer in parts_of(body).blocks[:blocks]:
        states = block(layer, states, pack, False)
    return states


def upper_features(model: Any, states: torch.Tensor, lengths: Sequence[int], blocks: int) -> torch.Tensor:
    """What the head reads of each text, (texts, width); `states` have passed the first `blocks` blocks."""
    body = unwrapped(model).base_model
    pack = _pack(body, states, lengths, _positions(lengths, states.device))
    return _end(body, states, pack, blocks)


def _begin(body: Any, rows: Sequence[Ids]) -> tuple[torch.Tensor, _Pack]:
    """The embedded tokens, (tokens, width), and where each text lies in them."""
    import torch

    ids = torch.from_numpy(np.concatenate(rows).astype(np.int64)).to(body.device)  # (tokens,)
    lengths = [len(row) for row in rows]
    positions = _positions(lengths, body.device)
    states = _embedded(body, ids, positions)
    return states, _pack(body, states, lengths, positions)


def _end(body: Any, states: torch.Tensor, pack: _Pack, blocks: int) -> torch.Tensor:
    """Run all but the first `blocks` blocks: (texts, width)."""
    block, parts = _block_of(body.config.model_type), parts_of(body)
    for layer in parts.blocks[blocks:-1]:
        states = block(layer, states, pack, False)
    features: torch.Tensor = parts.norm(block(parts.blocks[-1], states, pack, True))
    return features


def parts_of(body: Any) -> Parts:
    """The parts of a body that can be packed."""
    match body.config.model_type:
        case "gpt2" | "gpt_neo":
            return Parts((body.wte, body.wpe), body.h, body.ln_f)
        case "gpt_neox":
            return Parts((body.embed_in,), body.layers, body.final_layer_norm)
        case _:
            return Parts((body.embed_tokens,), body.layers, body.norm)


def _embedded(body: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(tokens,) -> (tokens, width)."""
    match body.config.model_type:
        case "gpt2" | "gpt_neo":
            return drop(body.wte(ids) + body.wpe(positions), body.drop)
        case "gpt_neox":
            return drop(body.embed_in(ids), body.emb_dropout)
        case _:
            return body.embed_tokens(ids)  # type: ignore[no-any-return]


def _positions(lengths: Sequence[int], device: Any) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).to(device)  # (tokens,)


def _pack(body: Any, states: torch.Tensor, lengths: Sequence[int], positions: torch.Tensor) -> _Pack:
    import torch

    last = torch.from_numpy(np.cumsum(lengths) - 1).to(states.device)
    return _Pack(list(lengths), last, _rotary(body, states, positions))


def _rotary(body: Any, hidden: torch.Tensor, positions: torch.Tensor) -> Any:
    if not hasattr(body, "rotary_emb"):
        return None
    cos, sin = body.rotary_emb(hidden[None], position_ids=positions[None])
    return cos[0], sin[0]


def _gpt2(block: Any, hidden: torch.Tensor, pack: _Pack, only_last: bool) -> torch.Tensor:
    attention = block.attn
    query, key, value = attention.c_attn(block.ln_1(hidden)).split(hidden.shape[-1], dim=-1)
    if only_last:
        query, hidden = query[pack.last], hidden[pack.last]
    query, key, value = (_heads(part, attention.num_heads) for part in (query, key, value))
    scoring = Scoring(attention.scaling, _rate(attention, attention.attn_dropout.p))
    mixed = _attend(query, key, value, pack, scoring)
    hidden = add_dropped(attention.c_proj(mixed), hidden, attention.resid_dropout)
    return _add_mlp(block.mlp, block.ln_2(hidden), hidden)


def _gpt_neo(block: Any, hidden: torch.Tensor, pack: _Pack, only_last: bool) -> torch.Tensor:
    attention = block.attn.attention
    normed = block.ln_1(hidden)
    key, value = attention.k_proj(normed), attention.v_proj(normed)
    if only_last:
        normed, hidden = normed[pack.last], hidden[pack.last]
    query, key, value = (_heads(part, attention.num_heads) for part in (attention.q_proj(normed), key, value))
    window = attention.config.window_size if attention.attention_type == "local" else None
    scoring = Scoring(1.0, _rate(attention, attention.attn_dropout.p), window)
    mixed = _attend(query, key, value, pack, scoring)
    hidden = add_dropped(attention.out_proj(mixed), hidden, attention.resid_dropout)
    return _add_mlp(block.mlp, block.ln_2(hidden), hidden)


def _add_mlp(mlp: Any, normed: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """GPT-2's and GPT-Neo's MLP and what stands beside it."""
    return add_dropped(mlp.c_proj(mlp.act(mlp.c_fc(normed))), residual, mlp.dropout)


def _gpt_neox(block: Any, hidden: torch.Tensor, pack: _Pack, only_last: bool) -> torch.Tensor:
    attention = block.attention
    fused = attention.query_key_value(block.input_layernorm(hidden))
    query, key, value = _heads(fused, attention.config.num_attention_heads).chunk(3, dim=-1)
    query, key = _rotate(query, key, pack)
    if only_last:
        query, hidden = query[pack.last], hidden[pack.last]
    scoring = Scoring(attention.scaling, _rate(attention, attention.attention_dropout))
    mixed = _attend(query, key, value, pack, scoring)
    mixed = drop(attention.dense(mixed), block.post_attention_dropout)
    beside = hidden if block.use_parallel_residual else mixed + hidden
    rest = mixed + hidden if block.use_parallel_residual else beside
    return add_dropped(block.mlp(block.post_attention_layernorm(beside)), rest, block.post_mlp_dropout)


def _llama(block: Any, hidden: torch.Tensor, pack: _Pack, only_last: bool) -> torch.Tensor:
    attention = block.self_attn
    normed = block.input_layernorm(hidden)
    query, key, value = (
        _heads_of(part(normed), attention.head_dim)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    if hasattr(attention, "q_norm"):
        query, key = attention.q_norm(query), attention.k_norm(key)
    query, key = _rotate(query, key, pack)
    if only_last:
        query, hidden = query[pack.last], hidden[pack.last]
    scoring = Scoring(attention.scaling, _rate(attention, attention.attention_dropout))
    mixed = _attend(query, key, value, pack, scoring)
    hidden = hidden + attention.o_proj(mixed)
    return hidden + block.mlp(block.post_attention_layernorm(hidden))  # type: ignore[no-any-return]


PACKED_TYPES: dict[str, Block] = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "gpt_neox": _gpt_neox,
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "qwen3": _llama,
}
"""model_type -> its block, (tokens, width) -> (tokens, width), or (texts, width) for the last tokens only."""


def add_packed_method(layer: Any, model_type: str) -> str:
    """Give a block its packed pass as a method, through which it is then run; returns the method's name.

    Who must act before and after a block runs, such as FSDP, can wrap a method.
    """
    setattr(layer, _METHOD, partial(PACKED_TYPES[model_type], layer))
    return _METHOD


def _block_of(model_type: str) -> Block:
    run = PACKED_TYPES[model_type]

    def block(layer: Any, states: torch.Tensor, pack: _Pack, only_last: bool) -> torch.Tensor:
        method: Callable[..., torch.Tensor] = getattr(layer, _METHOD, partial(run, layer))
        return method(states, pack, only_last)

    return block


def _rate(module: Any, dropout: float) -> float:
    """Attention dropout, which is a number and no module in some architectures."""
    return dropout if module.training else 0.0


def _heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """(tokens, width) -> (tokens, heads, width / heads)."""
    return states.view(states.shape[0], heads, -1)


def _heads_of(states: torch.Tensor, head_width: int) -> torch.Tensor:
    """(tokens, width) -> (tokens, width / head_width, head_width)."""
    return states.view(states.shape[0], -1, head_width)


def _rotate(query: torch.Tensor, key: torch.Tensor, pack: _Pack) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotary positions on the first dims of each head."""
    assert pack.rotary is not None
    cos, sin = (part[:, None] for part in pack.rotary)  # (tokens, 1, rotary dims)
    return _rotated(query, cos, sin), _rotated(key, cos, sin)


def _rotated(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    import torch

    turned, kept = states[..., : cos.shape[-1]], states[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned, kept], dim=-1) if kept.shape[-1] else turned


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, pack: _Pack, scoring: Scoring
) -> torch.Tensor:
    # it defines a gradient of its own, for which torch has to be there when it is imported
    from tunesmith.model.attention import attend

    return attend(query, key, value, pack.lengths, scoring)
