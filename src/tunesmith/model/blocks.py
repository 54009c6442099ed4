"""The blocks of the architectures that can be packed, on texts that lie one after the other.

Modules are called, not copied: adapters put in their place work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tunesmith.model.dropout import add_dropped, drop
from tunesmith.model.faster import activated
from tunesmith.model.layers import is_plain, matrix, product
from tunesmith.model.scoring import Scoring
from tunesmith.model.unprojected import affine, mixed_unprojected

if TYPE_CHECKING:
    import torch

__all__ = [
    "BLOCKS",
    "Block",
    "KeysValues",
    "Pack",
    "Parts",
    "add_block_method",
    "block_of",
    "embedded",
    "parts_of",
    "rotary",
]


KeysValues = tuple["torch.Tensor", "torch.Tensor"]
"""What one block attends to of some tokens, both (tokens, key heads, head width)."""


Attend = Callable[["torch.Tensor", "torch.Tensor", "torch.Tensor", Scoring], "torch.Tensor"]
"""Queries, keys and values, (tokens, heads, head width) -> (query tokens, heads × head width)."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Where each text lies in the packed tokens, and what is asked of it."""

    lengths: Sequence[int]
    queries: Sequence[int]
    """How many of each text's last tokens are asked for: at least one"""
    asked: torch.Tensor
    """(queries of all texts,) the indices of those tokens"""
    rotary: tuple[torch.Tensor, torch.Tensor] | None
    """cos and sin, each (tokens, rotary dims)"""
    before: Sequence[torch.Tensor] | None = None
    """(tokens, tokens) of each text: how far back each token is seen, negative: it is not; None: causality.

    Where there is a `past`, (tokens, past tokens + tokens)."""
    past: KeysValues | None = None
    """Of a text that stands before each of these, in the block that is run"""
    kept: list[KeysValues] | None = None
    """Where each block leaves its keys and values, if they are asked for"""
    attend: Attend | None = None
    """How queries meet keys where that is done in another way, as in a graph that is written down"""


@dataclass(frozen=True, slots=True)
class Parts:
    """A body from the bottom to the top."""

    embeddings: tuple[Any, ...]
    blocks: Any
    norm: Any


Block = Callable[[Any, "torch.Tensor", Pack, bool], "torch.Tensor"]
_METHOD = "run_packed"


def parts_of(body: Any) -> Parts:
    """The parts of a body that can be packed."""
    match body.config.model_type:
        case "gpt2" | "gpt_neo":
            return Parts((body.wte, body.wpe), body.h, body.ln_f)
        case "gpt_neox":
            return Parts((body.embed_in,), body.layers, body.final_layer_norm)
        case _:
            return Parts((body.embed_tokens,), body.layers, body.norm)


def embedded(body: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(tokens,) -> (tokens, width)."""
    match body.config.model_type:
        case "gpt2" | "gpt_neo":
            return drop(body.wte(ids) + body.wpe(positions), body.drop)
        case "gpt_neox":
            return drop(body.embed_in(ids), body.emb_dropout)
        case _:
            return body.embed_tokens(ids)  # type: ignore[no-any-return]


def rotary(body: Any, hidden: torch.Tensor, positions: torch.Tensor) -> Any:
    """cos and sin, each (tokens, rotary dims), where the body turns by position."""
    if not hasattr(body, "rotary_emb"):
        return None
    cos, sin = body.rotary_emb(hidden[None], position_ids=positions[None])
    return cos[0], sin[0]


def _gpt2(block: Any, hidden: torch.Tensor, pack: Pack, only_asked: bool) -> torch.Tensor:
    attention, normed = block.attn, block.ln_1(hidden)
    scoring = Scoring(attention.scaling, _rate(attention, attention.attn_dropout.p))
    if only_asked:
        hidden = hidden[pack.asked]
    if only_asked and _one_asks(pack, attention.c_attn):
        mixed = _gpt2_unprojected(attention, normed, pack, scoring)
    else:
        mixed = _gpt2_attended(attention.c_attn(normed), attention.num_heads, pack, scoring, only_asked)
    hidden = _add_projected(attention.c_proj, mixed, hidden, attention.resid_dropout)
    return _add_mlp(block.mlp, block.ln_2(hidden), hidden)


def _gpt2_attended(
    fused: torch.Tensor, heads: int, pack: Pack, scoring: Scoring, only_asked: bool
) -> torch.Tensor:
    """`fused` are queries, keys and values side by side, (tokens, 3 × width)."""
    if _is_causal(pack) and not only_asked:
        # it defines a gradient of its own, for which torch has to be there when it is imported
        from tunesmith.model.attention import attend_fused

        return attend_fused(fused, heads, pack.lengths, scoring)
    query, key, value = fused.chunk(3, dim=-1)
    query = query[pack.asked] if only_asked else query
    query, key, value = (_heads(part, heads) for part in (query, key, value))
    return _attend(query, key, value, pack, scoring)


def _gpt2_unprojected(attention: Any, normed: torch.Tensor, pack: Pack, scoring: Scoring) -> torch.Tensor:
    import torch

    width, layer = normed.shape[1], attention.c_attn
    weights, biases = matrix(layer).split(width, dim=1), layer.bias.split(width)
    query = torch.addmm(biases[0], normed[pack.asked], weights[0])
    key, value = (affine(*part) for part in zip(weights[1:], biases[1:], strict=True))
    heads = _heads(query, attention.num_heads)
    return mixed_unprojected(normed, heads, key, value, pack.lengths, scoring)


def _gpt_neo(block: Any, hidden: torch.Tensor, pack: Pack, only_asked: bool) -> torch.Tensor:
    attention, normed = block.attn.attention, block.ln_1(hidden)
    window = attention.config.window_size if attention.attention_type == "local" else None
    scoring = Scoring(1.0, _rate(attention, attention.attn_dropout.p), window)
    asks = normed
    if only_asked:
        asks, hidden = normed[pack.asked], hidden[pack.asked]
    query = _heads(attention.q_proj(asks), attention.num_heads)
    layers = attention.k_proj, attention.v_proj
    if only_asked and _one_asks(pack, *layers):
        key, value = (affine(matrix(layer), layer.bias) for layer in layers)
        mixed = mixed_unprojected(normed, query, key, value, pack.lengths, scoring)
    else:
        key, value = (_heads(layer(normed), attention.num_heads) for layer in layers)
        mixed = _attend(query, key, value, pack, scoring)
    hidden = _add_projected(attention.out_proj, mixed, hidden, attention.resid_dropout)
    return _add_mlp(block.mlp, block.ln_2(hidden), hidden)


def _add_mlp(mlp: Any, normed: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """GPT-2's and GPT-Neo's MLP and what stands beside it."""
    inner = activated(*product(mlp.c_fc, normed), mlp.act)
    return _add_projected(mlp.c_proj, inner, residual, mlp.dropout)


def _add_projected(layer: Any, states: torch.Tensor, residual: torch.Tensor, dropout: Any) -> torch.Tensor:
    values, bias = product(layer, states)
    return add_dropped(values, residual, dropout, bias)


def _gpt_neox(block: Any, hidden: torch.Tensor, pack: Pack, only_asked: bool) -> torch.Tensor:
    attention = block.attention
    fused = attention.query_key_value(block.input_layernorm(hidden))
    query, key, value = _heads(fused, attention.config.num_attention_heads).chunk(3, dim=-1)
    query, key = _rotate(query, key, pack)
    if only_asked:
        query, hidden = query[pack.asked], hidden[pack.asked]
    scoring = Scoring(attention.scaling, _rate(attention, attention.attention_dropout))
    mixed = _attend(query, key, value, pack, scoring)
    mixed = drop(attention.dense(mixed), block.post_attention_dropout)
    beside = hidden if block.use_parallel_residual else mixed + hidden
    rest = mixed + hidden if block.use_parallel_residual else beside
    return add_dropped(block.mlp(block.post_attention_layernorm(beside)), rest, block.post_mlp_dropout)


def _llama(block: Any, hidden: torch.Tensor, pack: Pack, only_asked: bool) -> torch.Tensor:
    attention = block.self_attn
    normed = block.input_layernorm(hidden)
    query, key, value = (
        _heads_of(part(normed), attention.head_dim)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    if hasattr(attention, "q_norm"):
        query, key = attention.q_norm(query), attention.k_norm(key)
    query, key = _rotate(query, key, pack)
    if only_asked:
        query, hidden = query[pack.asked], hidden[pack.asked]
    scoring = Scoring(attention.scaling, _rate(attention, attention.attention_dropout))
    mixed = _attend(query, key, value, pack, scoring)
    hidden = hidden + attention.o_proj(mixed)
    return hidden + block.mlp(block.post_attention_layernorm(hidden))  # type: ignore[no-any-return]


BLOCKS: dict[str, Block] = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "gpt_neox": _gpt_neox,
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "qwen3": _llama,
}
"""model_type -> its block, (tokens, width) -> (tokens, width), or for the asked tokens only."""


def block_of(model_type: str) -> Block:
    """How a block of this kind of model is run."""
    run = BLOCKS[model_type]

    def block(layer: Any, states: torch.Tensor, pack: Pack, only_asked: bool) -> torch.Tensor:
        method: Callable[..., torch.Tensor] = getattr(layer, _METHOD, partial(run, layer))
        return method(states, pack, only_asked)

    return block


def add_block_method(layer: Any, model_type: str) -> str:
    """Let a block be run by a method of its own, and return the method's name.

    Who must act before and after a block is run, such as FSDP, can wrap a method.
    """
    setattr(layer, _METHOD, partial(BLOCKS[model_type], layer))
    return _METHOD


def _one_asks(pack: Pack, *layers: Any) -> bool:
    """Whether one token of each text asks, and what would make its keys and values are plain layers."""
    if not _is_causal(pack) or not all(is_plain(layer) for layer in layers):
        return False
    return pack.asked.device.type == "cpu" and len(pack.asked) == len(pack.lengths)


def _is_causal(pack: Pack) -> bool:
    """Whether a token sees its text before it and nothing else, and nobody asks for keys and values."""
    return all(given is None for given in (pack.attend, pack.before, pack.past, pack.kept))


def _rate(module: Any, dropout: float) -> float:
    """Attention dropout, which is a number and no module in some architectures."""
    return dropout if module.training else 0.0


def _heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """(tokens, width) -> (tokens, heads, width / heads)."""
    return states.view(states.shape[0], heads, -1)


def _heads_of(states: torch.Tensor, head_width: int) -> torch.Tensor:
    """(tokens, width) -> (tokens, width / head_width, head_width)."""
    return states.view(states.shape[0], -1, head_width)


def _rotate(query: torch.Tensor, key: torch.Tensor, pack: Pack) -> tuple[torch.Tensor, torch.Tensor]:
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
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, pack: Pack, scoring: Scoring
) -> torch.Tensor:
    if pack.attend is not None:
        return pack.attend(query, key, value, scoring)
    # it defines a gradient of its own, for which torch has to be there when it is imported
    from tunesmith.model.attention import attend, attend_seen

    queries = pack.lengths if query.shape[0] == key.shape[0] else pack.queries
    if pack.kept is not None:
        pack.kept.append((key, value))
    if pack.before is None:
        assert pack.past is None, "who stands behind a past has to say what is seen of it"
        return attend(query, key, value, pack.lengths, scoring, queries)
    lengths = pack.lengths
    if pack.past is not None:
        key, value = (_behind(*parts, lengths) for parts in zip(pack.past, (key, value), strict=True))
        lengths = [len(pack.past[0]) + length for length in lengths]
    return attend_seen(query, key, value, lengths, queries, pack.before, scoring)


def _behind(past: torch.Tensor, states: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """Each text's keys, or values, with those of the past before them."""
    import torch

    return torch.cat([part for text in torch.split(states, list(lengths)) for part in (past, text)])
