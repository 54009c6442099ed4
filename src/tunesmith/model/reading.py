"""What a model makes of prompts and of each token after them, with what was read kept where it can be."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.model.encode import Ids

if TYPE_CHECKING:
    import torch

__all__ = ["Cached", "Uncached", "can_batch", "can_join"]


def can_batch(model: Any) -> bool:
    """Whether prompts of different lengths can be read side by side: where positions can be told."""
    return {"position_ids", "past_key_values"} <= _parameters(model)


def can_join(model: Any) -> bool:
    """Whether rows can join others that are being written: where all that is kept is keys and values."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    in_chunks = "chunked_attention" in (getattr(model.config.get_text_config(), "layer_types", None) or ())
    return can_batch(model) and kinds <= {DynamicLayer, DynamicSlidingWindowLayer} and not in_chunks


class Cached:
    """Prompts side by side, padded on the left; keys and values of what was read are kept."""

    logits: torch.Tensor
    """(rows, vocabulary) what follows each row"""

    def __init__(self, model: Any, prompts: Sequence[Ids], *, cache: Any = None) -> None:
        import torch

        self._model = model
        # looked up once: it is read for every token
        self._only_last = {"logits_to_keep": 1} if "logits_to_keep" in _parameters(model) else {}
        longest = max(len(prompt) for prompt in prompts)
        ids = np.zeros((len(prompts), longest), np.int64)
        mask = np.zeros((len(prompts), longest), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :], mask[row, longest - len(prompt) :] = prompt, 1
        self._mask = torch.from_numpy(mask).to(model.device)
        # transformers would count padding, too
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)
        self._read(torch.from_numpy(ids).to(model.device), positions, cache)

    @classmethod
    def to_join(cls, model: Any, prompts: Sequence[Ids]) -> Cached:
        """As the constructor, with all keys and values kept, so that others can join; where `can_join`."""
        from transformers import DynamicCache

        # the model's own cache may forget what is behind a window, at another place for each row that joins
        return cls(model, prompts, cache=DynamicCache())

    @property
    def columns(self) -> int:
        """The tokens of each row, padding included."""
        return int(self._mask.shape[1])

    def go_on(self, tokens: Sequence[int], rows: Sequence[int]) -> None:
        """Read one more token in each of `rows`; the other rows leave."""
        import torch

        if len(rows) < len(self._mask):
            self.select(rows)
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        ids = torch.tensor(tokens, device=self._mask.device)[:, None]
        self._read(ids, self._mask.sum(1, keepdim=True) - 1, self._cache)

    def select(self, rows: Sequence[int]) -> None:
        """Keep `rows`, in this order; one that is named twice goes on twice."""
        import torch

        kept = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(kept)
        self._mask, self.logits = self._mask[kept], self.logits[kept]

    def narrow(self) -> None:
        """Drop the columns in which no row has a token; where the rows were read `to_join`."""
        unused = int(self._mask.any(0).int().argmax())
        self._mask = self._mask[:, unused:]
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[:, :, unused:], layer.values[:, :, unused:]

    def join(self, others: Cached) -> None:
        """Take the rows of others behind one's own; all were read `to_join`."""
        import torch

        columns = max(self.columns, others.columns)
        self._mask = torch.cat([_widened(each._mask, columns, -1) for each in (self, others)])
        self.logits = torch.cat([self.logits, others.logits])
        for own, other in zip(self._cache.layers, others._cache.layers, strict=True):
            own.keys = torch.cat([_widened(each.keys, columns, -2) for each in (own, other)])
            own.values = torch.cat([_widened(each.values, columns, -2) for each in (own, other)])

    def _read(self, ids: torch.Tensor, positions: torch.Tensor, cache: Any) -> None:
        answer = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **self._only_last,
        )
        self._cache = answer.past_key_values
        self.logits = answer.logits[:, -1]


class Uncached:
    """One prompt that is read anew for each token: right for any architecture."""

    def __init__(self, model: Any, prompts: Sequence[Ids]) -> None:
        (prompt,) = prompts
        self._model, self._ids = model, prompt.tolist()
        self._read()

    def go_on(self, tokens: Sequence[int], rows: Sequence[int]) -> None:  # noqa: ARG002 (there is but one)
        """Read one more token."""
        self._ids += tokens
        self._read()

    def _read(self) -> None:
        import torch

        ids = torch.tensor([self._ids], device=self._model.device)
        answer = self._model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        self.logits: torch.Tensor = answer.logits[:, -1]


def _parameters(model: Any) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def _widened(values: torch.Tensor, columns: int, side: int) -> torch.Tensor:
    """The values with zeros on their left along dimension `side`, which is counted from the end."""
    import torch

    missing = columns - values.shape[side]
    return torch.nn.functional.pad(values, [0, 0] * (-side - 1) + [missing, 0])
