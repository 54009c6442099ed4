"""A classifier -> a file of ONNX, by torch's own exporter.

Linear layers see the tokens of all texts as one matrix, and the last block computes only what the last
tokens' logits need, as in `model/packed.py`, whose blocks are called. Attention alone is computed on texts
side by side: behind the end of a text stand keys that no query sees. Architectures that cannot be packed are
written as transformers computes them, padded.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.nn.functional import embedding, scaled_dot_product_attention

from tunesmith.errors import ExportError, Problem
from tunesmith.model.blocks import Pack, block_of, embedded, parts_of, rotary
from tunesmith.model.packed import can_pack
from tunesmith.model.scoring import Scoring
from tunesmith.onnx.inputs import Feeds, packed_feeds, padded_feeds

__all__ = ["OUTPUT", "write_graph"]

OUTPUT = "logits"
# by which a graph is traced: texts of unequal lengths, none of a length that torch would take for fixed
_SAMPLE = (5, 9, 3)
_MOST = 1 << 20
# a file of protobuf ends at 2 GiB
_LARGEST_FILE = 1 << 30


def write_graph(model: Any, path: Path) -> None:
    """Write the model, which is in evaluation mode, to `path`; large weights go into `path`.data.

    Raises ExportError where torch's exporter cannot.
    """
    ids = [np.arange(1, length + 1, dtype=np.int32) for length in _SAMPLE]
    if can_pack(model):
        program = _traced(_Packed(model), packed_feeds(ids), _packed_shapes())
    else:
        program = _traced(_Padded(model), padded_feeds(ids, 0), _padded_shapes())
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    program.save(str(path), external_data=weights > _LARGEST_FILE)


def _traced(module: torch.nn.Module, feeds: Feeds, shapes: Sequence[dict[int, Any]]) -> Any:
    arguments = tuple(torch.from_numpy(np.array(feed)) for feed in feeds.values())
    with _quiet(), torch.no_grad():
        try:
            return torch.onnx.export(
                module,
                arguments,
                dynamo=True,
                input_names=list(feeds),
                output_names=[OUTPUT],
                dynamic_shapes=tuple(shapes),
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
            raise ExportError(_problem(module, error)) from error


def _problem(module: Any, error: Exception) -> Problem:
    kind, reason = module.model.config.model_type, str(error).strip().splitlines()[0]
    what = f"torch cannot write this kind of model ({kind}) as ONNX: {reason}"
    return Problem("not-exportable", what, "the model", "serve it as it is, or export it `--to torch`")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter tells its own developers off the screen."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _packed_shapes() -> Sequence[dict[int, Any]]:
    tokens, texts = torch.export.Dim("tokens", min=2, max=_MOST), torch.export.Dim("texts", min=2, max=_MOST)
    longest = torch.export.Dim("longest", min=2, max=_MOST)
    return ({0: tokens}, {0: tokens}, {0: texts, 1: longest}, {0: tokens}, {0: texts}, {0: texts})


def _padded_shapes() -> Sequence[dict[int, Any]]:
    texts = torch.export.Dim("texts", min=2, max=_MOST)
    longest = torch.export.Dim("longest", min=2, max=_MOST)
    return ({0: texts, 1: longest}, {0: texts, 1: longest})


class _Packed(torch.nn.Module):
    """(tokens,) … -> (texts, labels); see `inputs` for what goes in."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        places: torch.Tensor,
        back: torch.Tensor,
        last: torch.Tensor,
        asked: torch.Tensor,
    ) -> torch.Tensor:
        body = self.model.base_model
        parts, block = parts_of(body), block_of(body.config.model_type)
        states = embedded(body, input_ids, position_ids)
        every = _EveryToken(places, back)
        pack = Pack((), (), asked, rotary(body, states, position_ids), attend=every)
        for layer in parts.blocks[:-1]:
            states = block(layer, states, pack, False)
        ends = replace(pack, attend=_LastTokens(places, last))
        features = parts.norm(block(parts.blocks[-1], states, ends, True))
        return cast(torch.Tensor, self.model.score(features))


class _Padded(torch.nn.Module):
    """(texts, longest) ids and mask -> (texts, labels), at each text's last token."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        last = attention_mask.sum(1) - 1
        at_end = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1]))[:, 0]
        return cast(torch.Tensor, self.model.score(at_end))


class _EveryToken:
    """Causal attention of all tokens: (tokens, heads, head width) -> (tokens, heads × head width)."""

    def __init__(self, places: torch.Tensor, back: torch.Tensor) -> None:
        self._places, self._back = places, back

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scoring: Scoring
    ) -> torch.Tensor:
        query, key, value = (_side_by_side(part, self._places) for part in (query, key, value))
        key, value = _for_every_head(query, key), _for_every_head(query, value)
        mask = None if scoring.window is None else self._band(scoring.window)
        mixed = scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None, scale=scoring.scaling
        )
        return embedding(self._back, mixed.transpose(1, 2).flatten(2).flatten(0, 1))

    def _band(self, window: int) -> torch.Tensor:
        """(longest, longest) whether a query sees a key: it is no later, and near enough."""
        at = torch.arange(self._places.shape[1])
        behind = at[:, None] - at[None]
        return (behind >= 0) & (behind < window)


class _LastTokens:
    """Attention of each text's last token: (texts, heads, head width) -> (texts, heads × head width)."""

    def __init__(self, places: torch.Tensor, last: torch.Tensor) -> None:
        self._places, self._last = places, last

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scoring: Scoring
    ) -> torch.Tensor:
        query = query[:, :, None]  # (texts, heads, 1, head width)
        key, value = (_for_every_head(query, _side_by_side(part, self._places)) for part in (key, value))
        scores = query @ key.transpose(2, 3) * scoring.scaling
        shares = torch.where(self._seen(scoring.window), scores, float("-inf")).softmax(-1)
        return (shares @ value)[:, :, 0].flatten(1)

    def _seen(self, window: int | None) -> torch.Tensor:
        """(texts, 1, 1, longest) which keys each text's last token sees."""
        behind = self._last[:, None] - torch.arange(self._places.shape[1])[None]
        seen = behind >= 0 if window is None else (behind >= 0) & (behind < window)
        return seen[:, None, None]


def _side_by_side(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(tokens, heads, head width) -> (texts, heads, longest, head width)."""
    heads, width = states.shape[1:]
    side_by_side = embedding(places, states.flatten(1))  # (texts, longest, heads × head width)
    return side_by_side.view(*places.shape, heads, width).transpose(1, 2)


def _for_every_head(query: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """(texts, key heads, longest, head width), each repeated for all query heads that share it."""
    times = query.shape[1] // states.shape[1]
    return states if times == 1 else states.repeat_interleave(times, 1)
