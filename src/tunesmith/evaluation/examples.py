"""Which rows a report shows as examples, and how what is said in them is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, TypeVar

import numpy as np

from tunesmith.data.chat import Message

__all__ = ["Chosen", "Example", "as_read", "chosen_rows", "first_of_each"]

Chosen = Literal["best", "worst", "random"]

_ORDER: tuple[Chosen, ...] = ("random", "worst", "best")


class Example(Protocol):
    """A row that a report shows."""

    @property
    def chosen(self) -> Chosen:
        """Why it is shown."""
        ...


ExampleT = TypeVar("ExampleT", bound=Example)


def chosen_rows(worst: Sequence[int], best: Sequence[int], *, each: int, seed: int) -> dict[int, Chosen]:
    """`each` of random, the worst and the best rows, fewer of few rows; no row twice.

    `worst` and `best` are all rows, each with those first that it is named after.
    """
    each = max(1, min(each, len(worst) // 3))
    drawn = np.random.default_rng(seed).permutation(len(worst)).tolist()
    orders: dict[Chosen, Sequence[int]] = {"random": drawn, "worst": worst, "best": best}
    taken: dict[int, Chosen] = {}
    for chosen in _ORDER:
        taken |= dict.fromkeys([row for row in orders[chosen] if row not in taken][:each], chosen)
    return taken


def first_of_each(examples: Sequence[ExampleT]) -> Iterator[ExampleT]:
    """The first random, the first of the worst and the first of the best, where there are such."""
    for chosen in _ORDER:
        yield from [each for each in examples if each.chosen == chosen][:1]


def as_read(messages: Sequence[Message], role: str) -> str:
    """What is said, with who says what where it is not one message of `role`."""
    said = [(message["role"], str(message["content"] or "")) for message in messages]
    if [who for who, _ in said] == [role]:
        return said[0][1]
    return "\n".join(f"{who}: {content}" for who, content in said)
