"""Rivals of a model that writes: copying, repeating, looking up, and the base before it was tuned."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tunesmith.data.chat import ASSISTANT, INSTRUCTING
from tunesmith.evaluation.generation.questions import Conversation, Questions, last_question
from tunesmith.evaluation.rival import Clock, milliseconds_each
from tunesmith.evaluation.tfidf import vectorizer_for
from tunesmith.evaluation.types import Ints
from tunesmith.model.language import TokenSums

__all__ = [
    "COMMONEST",
    "COPY",
    "FIRST_SENTENCE",
    "MOST_TRAIN_ROWS",
    "NEAREST",
    "UNTUNED",
    "Ask",
    "Untuned",
    "WritingRival",
    "run_generation_rivals",
]

UNTUNED = "untuned base"
NEAREST = "nearest example"
COMMONEST = "commonest answer"
COPY = "prompt copied"
FIRST_SENTENCE = "first sentence"

Ask = Callable[[Sequence[Conversation]], Sequence[str]]
"""Conversations -> what a model writes next."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])|\n")
MOST_TRAIN_ROWS = 100_000
"""Of more training rows as many are drawn: bounds the memory and time of looking up."""
_MOST_SIMILARITIES = 1 << 23


@dataclass(frozen=True, slots=True)
class WritingRival:
    """What another method wrote for each test row; `token_figures` are those of a model, where measured."""

    name: str
    how: str
    answers: Sequence[str]
    train_seconds: float
    milliseconds_per_text: float
    token_figures: Mapping[str, float] = field(default_factory=dict)
    size_bytes: int | None = None
    tokens: TokenSums | None = None


@dataclass(frozen=True, slots=True)
class Untuned:
    """The base before it was tuned: how to ask it, and its token figures on the test rows, where measured.

    After its own try it is shown up to `shots` training examples of at most `shot_characters` together.
    """

    ask: Ask
    token_figures: Mapping[str, float] = field(default_factory=dict)
    shots: int = 4
    shot_characters: int = 2_000
    tokens: TokenSums | None = None
    """What those figures are made of"""


def run_generation_rivals(
    train: Questions,
    test: Questions,
    seed: int,
    *,
    untuned: Untuned | None = None,
    clock: Clock = time.perf_counter,
) -> tuple[WritingRival, ...]:
    """Let every rival that makes sense for these data answer `test`."""
    found = [*_asked(untuned, train, test, seed, clock)] if untuned else []
    found += [*_nearest(train, test, clock), *_commonest(train, test, clock)]
    return (*found, *_copies(test, clock))


def _asked(
    untuned: Untuned, train: Questions, test: Questions, seed: int, clock: Clock
) -> Iterator[WritingRival]:
    """The untuned base as it is, and after examples."""
    assert test.conversations, "a model is asked with conversations"
    how = "is the base as it was before training, asked the same way"
    plain = _answered(UNTUNED, how, clock, lambda: untuned.ask(test.conversations))
    yield replace(plain, token_figures=dict(untuned.token_figures), tokens=untuned.tokens)
    shown = _shots(train, seed, untuned.shots, untuned.shot_characters)
    if shown:
        number = f"{len(shown)} examples" if len(shown) > 1 else "an example"
        how = f"is the same base after {number} from the training rows"
        asked = [_after(shown, conversation) for conversation in test.conversations]
        yield _answered(f"untuned {len(shown)}-shot", how, clock, lambda: untuned.ask(asked))


def _answered(
    name: str, how: str, clock: Clock, answer: Callable[[], Sequence[str]], train_seconds: float = 0.0
) -> WritingRival:
    start = clock()
    answers = tuple(answer())
    return WritingRival(name, how, answers, train_seconds, milliseconds_each(clock() - start, len(answers)))


def _shots(train: Questions, seed: int, most: int, characters: int) -> list[Conversation]:
    """Training rows drawn at random, as long as they are short enough to be shown together."""
    shown: list[Conversation] = []
    for row in np.random.default_rng(seed).permutation(len(train.conversations)).tolist():
        shot = [*_split(train.conversations[row])[1], {"role": ASSISTANT, "content": train.references[row]}]
        length = sum(len(str(message.get("content") or "")) for message in shot)
        if len(shown) == most:
            break
        if length <= characters:
            shown.append(shot)
            characters -= length
    return shown


def _after(shown: Sequence[Conversation], conversation: Conversation) -> Conversation:
    """The conversation with examples before it, but after what says how to answer."""
    instructing, rest = _split(conversation)
    return [*instructing, *(message for shot in shown for message in shot), *rest]


def _split(conversation: Conversation) -> tuple[Conversation, Conversation]:
    """What says how to answer, and what is said."""
    instructing = [message for message in conversation if message["role"] in INSTRUCTING]
    return instructing, [message for message in conversation if message["role"] not in INSTRUCTING]


def _nearest(train: Questions, test: Questions, clock: Clock) -> Iterator[WritingRival]:
    """The answer of the training prompt that is most alike by TF-IDF of words and word pairs."""
    if not any(prompt.strip() for prompt in train.prompts):
        return
    began = clock()
    vectorizer = vectorizer_for(1)
    known = vectorizer.fit_transform(train.prompts).T.tocsc()
    seconds = clock() - began
    how = "answers with what stands beside the most similar training prompt (TF-IDF)"

    def look_up() -> list[str]:
        size = max(1, _MOST_SIMILARITIES // len(train))
        parts = [test.prompts[start : start + size] for start in range(0, len(test), size)]
        places = [_most_alike(vectorizer.transform(part) @ known) for part in parts]
        return [train.references[place] for part in places for place in part]

    yield _answered(NEAREST, how, clock, look_up, seconds)


def _most_alike(similarities: Any) -> Ints:
    """The column of the largest value in each row; the first of equals."""
    return np.asarray(similarities.toarray().argmax(axis=1))


def _commonest(train: Questions, test: Questions, clock: Clock) -> Iterator[WritingRival]:
    """The most frequent training answer, where any occurs twice."""
    start = clock()
    counts = Counter(reference.strip() for reference in train.references)
    text, times = counts.most_common(1)[0] if counts else ("", 0)
    if times > 1:
        how = "always answers with the most frequent answer of the training rows"
        yield _answered(COMMONEST, how, clock, lambda: [text] * len(test), clock() - start)


def _copies(test: Questions, clock: Clock) -> Iterator[WritingRival]:
    """The prompt, and where that is something else, its first sentence."""
    asked = [last_question(test, row) for row in range(len(test))]
    yield _answered(COPY, "answers with the prompt itself", clock, lambda: asked)
    first = [_first_sentence(prompt) for prompt in asked]
    if first != [prompt.strip() for prompt in asked]:
        yield _answered(FIRST_SENTENCE, "answers with the prompt's first sentence", clock, lambda: first)


def _first_sentence(text: str) -> str:
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()
