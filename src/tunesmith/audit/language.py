"""Which languages the texts are in."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from tunesmith.audit.types import Language, Languages
from tunesmith.data.facts import Facts

__all__ = ["languages_of"]

_MOST_TEXTS = 3_000
# a few words can be of many languages
_FEWEST_LETTERS = 40
_SURE = 0.95
_READ_CHARS = 2_000


def languages_of(facts: Facts) -> Languages:
    """The languages of at most 3,000 texts, evenly drawn; each is told only where it is sure."""
    every, counts = max(1, -(-len(facts.keys) // _MOST_TEXTS)), Counter[str]()
    firsts: dict[str, int] = {}
    looked = unsure = 0
    texts = (text for batch in facts.dataset.text_batches() for text in batch)
    for row, text in enumerate(texts):
        if row % every:
            continue
        looked += 1
        code = _language(text[:_READ_CHARS])
        if code is None:
            unsure += 1
            continue
        firsts.setdefault(code, row)
        counts[code] += 1
    found = (Language(code, count, facts.where(firsts[code])) for code, count in counts.most_common())
    return Languages(looked, unsure, tuple(found))


def _language(text: str) -> str | None:
    """The ISO 639 code of the text's language, where one is sure."""
    if sum(char.isalpha() for char in text) < _FEWEST_LETTERS:
        return None
    code, confidence = _identifier().classify(text)
    return str(code) if confidence >= _SURE else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
