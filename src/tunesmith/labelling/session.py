"""Session: one text after the other, and what is answered."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from tunesmith.data.texts import same_text_key
from tunesmith.labelling.journal import Answer, Journal
from tunesmith.labelling.order import Floats, choose, doubts_by_labelled, lots_of, nearer, vectors_of
from tunesmith.labelling.texts import Texts

__all__ = ["Asked", "Session"]

_LEARNED_EVERY = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """How far a session is, and the text that is asked about."""

    row: int | None
    """The place of the text; None where all are answered or skipped."""
    text: str
    where: str
    labelled: int
    left: int
    skipped: int
    can_undo: bool


class Session:
    """Asks about the texts, the most useful first, and keeps each answer; safe to use from several threads.

    What is asked next depends on the texts, the seed, the answers in their order and what was skipped, and on
    nothing else: a session that goes on asks what it would have asked. `doubts`, (texts,), are those of a
    model; without them a regression learns from every tenth answer on.
    """

    def __init__(
        self, texts: Texts, journal: Journal, *, doubts: Floats | None = None, seed: int = 0
    ) -> None:
        self._texts, self._journal = texts, journal
        self._lock = threading.RLock()
        self._vectors = vectors_of(texts.texts)
        self._lots = lots_of(len(texts), seed)
        self._given_doubts = doubts
        self._row_of_key = {same_text_key(text): row for row, text in enumerate(texts.texts)}
        self._skipped: list[int] = []
        self._done: list[int | None] = []  # rows of this session's acts in order: skipped, or None: answered
        self._learned: tuple[int, Floats | None] = (0, None)
        self._answers: list[tuple[int, tuple[str, ...]]] = []
        self._nearest = np.zeros(len(texts))
        for answer in journal.answers:
            self._count(answer)
        self._next = self._choose()

    @property
    def strangers(self) -> int:
        """Answers in the file to texts that are not asked about here."""
        return len(self._journal.answers) - len(self._answers)

    @property
    def asked(self) -> Asked:
        """What is asked now."""
        with self._lock:
            row = self._next
            text, where = ("", "") if row is None else (self._texts.texts[row], self._texts.where[row])
            labelled, skipped = len({row for row, _ in self._answers}), len(self._skipped)
            left = len(self._texts) - labelled - skipped
            can_undo = bool(self._done or self._journal.answers)
            return Asked(row, text, where, labelled, left, skipped, can_undo)

    def answer(self, row: int, labels: tuple[str, ...]) -> bool:
        """Keep the labels of the text that is asked about; False where `row` is not that text any more.

        Raises StorageError.
        """
        with self._lock:
            if row != self._next:
                return False
            given = Answer(self._texts.texts[row], labels, self._texts.where[row])
            self._journal.add(given)
            self._count(given)
            self._went_on(None)
            return True

    def skip(self, row: int) -> bool:
        """Ask no more about the text in this session; False where `row` is not the text asked about."""
        with self._lock:
            if row != self._next:
                return False
            self._skipped.append(row)
            self._went_on(row)
            return True

    def undo(self) -> bool:
        """Take back the last answer or skip, and ask again; False where there is none.

        Raises StorageError.
        """
        with self._lock:
            skipped = self._done.pop() if self._done else None
            if skipped is not None:
                self._skipped.remove(skipped)
                self._next = skipped
                return True
            taken = self._journal.undo()
            if taken is None:
                return False
            row = self._row_of_key.get(same_text_key(taken.text))
            self._recount()
            self._next = self._choose() if row is None else row
            return True

    def _went_on(self, skipped: int | None) -> None:
        self._done.append(skipped)
        self._next = self._choose()

    def _count(self, answer: Answer) -> None:
        row = self._row_of_key.get(same_text_key(answer.text))
        if row is not None:
            self._answers.append((row, answer.labels))
            self._nearest = nearer(self._vectors, self._nearest, row)

    def _recount(self) -> None:
        self._answers, self._nearest = [], np.zeros(len(self._texts))
        for answer in self._journal.answers:
            self._count(answer)

    def _choose(self) -> int | None:
        is_open = np.ones(len(self._texts), np.bool_)
        is_open[[row for row, _ in self._answers]] = False
        is_open[self._skipped] = False
        return choose(is_open, self._nearest, self._doubts(), self._lots)

    def _doubts(self) -> Floats | None:
        """Those of the model, or of what was learned from the answers up to the last tenth one."""
        if self._given_doubts is not None:
            return self._given_doubts
        count = len(self._answers) // _LEARNED_EVERY * _LEARNED_EVERY
        if count != self._learned[0]:
            rows, given = zip(*self._answers[:count], strict=True) if count else ((), ())
            several = self._journal.several
            found = doubts_by_labelled(self._vectors, rows, given, several=several) if count else None
            self._learned = (count, found)
        return self._learned[1]
