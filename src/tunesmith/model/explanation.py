"""Texts -> what each of their tokens did for the answer, with the place where it stands."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.model.attributions import POINTS, InTurn, at_once, attribute
from tunesmith.model.load import Classifier

__all__ = ["Explanation", "TokenScore", "explain"]

_WORD = re.compile(r"\S+")
_LONGEST_WORD = 30


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A stretch [start, end) of a text's characters, and by how much it raises the label's log-odds."""

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the tokens of a text did for `label`: their scores sum to `log_odds` - `baseline` + `gap`.

    `baseline` are the label's log-odds of a text without words; `gap` is the error of the integral.
    """

    text: str
    label: str
    log_odds: float
    baseline: float
    gap: float
    tokens: tuple[TokenScore, ...]
    truncated: bool = False
    """Whether the text was longer than the model reads."""

    @property
    def words(self) -> tuple[TokenScore, ...]:
        """What stands between white space, as far as it was read, with the sums of the tokens' scores.

        White space counts with the word after it, a special token nowhere. A stretch of over 30 characters,
        as in languages without spaces, is not joined.
        """
        tokens = [token for token in self.tokens if token.start < token.end]
        pieces = [piece for found in _WORD.finditer(self.text) for piece in _pieces(found.span(), tokens)]
        if not pieces:
            return ()
        scores: dict[int, float] = {}
        ends = [end for _, end in pieces]
        for token in tokens:
            at = min(bisect_left(ends, token.end), len(ends) - 1)
            scores[at] = scores.get(at, 0.0) + token.score
        return tuple(
            TokenScore(self.text[slice(*pieces[at])], *pieces[at], scores[at]) for at in sorted(scores)
        )


def _pieces(stretch: tuple[int, int], tokens: Sequence[TokenScore]) -> list[tuple[int, int]]:
    """A stretch, cut where its tokens begin if it is long; tokens that share a character stay together."""
    start, end = stretch
    if end - start <= _LONGEST_WORD:
        return [stretch]
    seams = [
        token.start
        for before, token in pairwise(tokens)
        if start < token.start < end and token.start >= before.end
    ]
    return list(pairwise([start, *seams, end]))


def explain(
    classifier: Classifier,
    text: str,
    label: str,
    max_tokens: int,
    micro_batch_tokens: int,
    *,
    most_tokens: int | None = None,
    in_turn: InTurn = at_once,
) -> Explanation:
    """The scores of the tokens that are read of a text, for a label; special tokens stand at no character.

    See `attributions` for how, and for what they are measured against. Where all copies of the text would
    have more than `most_tokens` tokens, fewer points are looked at, and never fewer than the first 16.
    """
    text, tokenizer = without_bad_chars(text)[0], classifier.tokenizer
    how = {"truncation": True, "max_length": max_tokens, "verbose": False}
    batch = tokenizer(text, return_offsets_mapping=True, **how)
    # as the model is asked, see `encode`
    ids = batch["input_ids"] or [tokenizer.pad_token_id]
    places = batch["offset_mapping"] or [(0, 0)]
    found = attribute(
        classifier.model,
        np.asarray(ids, np.int32),
        classifier.labels.index(label),
        tokenizer.pad_token_id,
        micro_batch_tokens=micro_batch_tokens,
        several=classifier.multi_label,
        points=_points_within(most_tokens, len(ids)),
        in_turn=in_turn,
    )
    tokens = _tokens(text, places, found.scores.tolist())
    cut = bool(batch.encodings[0].overflowing)
    return Explanation(text, label, found.log_odds, found.baseline, found.gap, tokens, cut)


def _points_within(most_tokens: int | None, tokens: int) -> tuple[int, ...]:
    if most_tokens is None:
        return POINTS
    copies = zip(POINTS, accumulate(POINTS), strict=True)
    return tuple(count for count, so_far in copies if so_far * tokens <= most_tokens) or POINTS[:1]


def _tokens(text: str, places: Any, scores: list[float]) -> tuple[TokenScore, ...]:
    return tuple(
        TokenScore(text[start:end], start, end, score)
        for (start, end), score in zip(places, scores, strict=True)
    )
