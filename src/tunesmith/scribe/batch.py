"""Answers written side by side: rows join and leave between two tokens, and a fault stays with its row."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.model.reading import Cached, Uncached, can_batch, can_join
from tunesmith.model.sampling import draw
from tunesmith.scribe.choice import Choice
from tunesmith.scribe.logprobs import Told, told
from tunesmith.scribe.stream import Stream
from tunesmith.training.memory import is_out_of_memory, release_memory

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "Row"]

# a row joins where all have room for so many more tokens: one that had to leave soon would be read twice
_ROOM_TOKENS = 32
# no more is read between two tokens of the others, unless it is one prompt
_READ_TOKENS = 2048
_MANY = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """An answer, and where its pieces go."""

    choice: Choice
    stream: Stream


class Batch:
    """At most `batch_tokens` tokens, padding included, in rows that grow by one token with each `step`.

    A row that finds no more room leaves and is read again later, which changes nothing that is drawn. Where
    a step fails, half as many rows try again, down to the one whose fault it is.
    """

    def __init__(self, model: Any, batch_tokens: int) -> None:
        self._model, self._batch_tokens = model, batch_tokens
        self._joins = can_join(model)
        self._rows: list[Row] = []
        self._waiting: deque[Row] = deque()
        self._reading: Cached | Uncached | None = None
        self._most_rows = self._most

    def __len__(self) -> int:
        return len(self._rows) + len(self._waiting)

    @property
    def rows(self) -> list[Row]:
        """All that is being written, and what is about to be read."""
        return [*self._rows, *self._waiting]

    @property
    def has_room(self) -> bool:
        """Whether one more row would be read at once."""
        longest = max((row.choice.length for row in self._waiting), default=0)
        return self._fits(len(self), max(self._columns, longest))

    def add(self, rows: Sequence[Row]) -> None:
        """Let rows wait for their place, behind all others."""
        self._waiting.extend(rows)

    def clear(self) -> None:
        """Forget all rows."""
        self._waiting.clear()
        self._forget()

    def step(self) -> None:
        """Write one token in each row for which there is room."""
        import torch

        with torch.inference_mode():
            if group := self._group():
                self._read(group)
            if self._rows:
                self._draw()
                self._go_on()
        if not len(self):
            self._most_rows = self._most

    @property
    def _most(self) -> int:
        return _MANY if self._joins else 1

    @property
    def _columns(self) -> int:
        return self._reading.columns if isinstance(self._reading, Cached) else 0

    def _fits(self, rows: int, columns: int) -> bool:
        """Whether one more row fits beside `rows`."""
        if not rows:
            return True
        return rows < self._most_rows and (rows + 1) * (columns + _ROOM_TOKENS) <= self._batch_tokens

    def _group(self) -> list[Row]:
        """The rows that are read next, in the order in which they came."""
        group: list[Row] = []
        columns, tokens = self._columns, dict[bytes, int]()
        while self._waiting:
            row = self._waiting[0]
            if not row.stream.closed:
                columns = max(columns, row.choice.length)
                tokens[row.choice.ids.tobytes()] = row.choice.length
                too_much = bool(group) and sum(tokens.values()) > _READ_TOKENS
                if too_much or not self._fits(len(self._rows) + len(group), columns):
                    break
                group.append(row)
            self._waiting.popleft()
        return group

    def _read(self, group: Sequence[Row]) -> None:
        """Read new rows, equal texts once, and let them join; what cannot be read fails alone."""
        by_text: dict[bytes, list[Row]] = {}
        for row in group:
            by_text.setdefault(row.choice.ids.tobytes(), []).append(row)
        alike = list(by_text.values())
        try:
            reading = self._read_texts([rows[0] for rows in alike])
            if isinstance(reading, Cached) and len(alike) < len(group):
                reading.select([place for place, rows in enumerate(alike) for _ in rows])
        except Exception as error:  # noqa: BLE001 -- whatever it is, whoever asked must hear it
            self._not_read(alike, error)
        else:
            self._join(reading, [row for rows in alike for row in rows])

    def _read_texts(self, rows: Sequence[Row]) -> Cached | Uncached:
        texts = [row.choice.ids for row in rows]
        if self._joins:
            return Cached.to_join(self._model, texts)
        return (Cached if can_batch(self._model) else Uncached)(self._model, texts)

    def _not_read(self, alike: Sequence[list[Row]], error: Exception) -> None:
        if len(alike) > 1:
            for rows in alike:
                self._read(rows)
        elif is_out_of_memory(error) and (self._rows or len(alike[0]) > 1):
            self._waiting.extendleft(reversed(alike[0]))
            self._halve(len(self._rows) * 2 or len(alike[0]), error)
            release_memory()
        else:
            for row in alike[0]:
                row.stream.fail(error)

    def _join(self, reading: Cached | Uncached, rows: Sequence[Row]) -> None:
        self._rows += rows
        if self._reading is None:
            self._reading = reading
            return
        assert isinstance(self._reading, Cached)
        assert isinstance(reading, Cached)
        try:
            self._reading.join(reading)
        except Exception as error:  # noqa: BLE001 -- as above
            self._part(error)

    def _draw(self) -> None:
        """Draw one token in each row, and give out what it makes known."""
        assert self._reading is not None
        try:
            drawn = self._drawn(self._reading.logits)
        except Exception as error:  # noqa: BLE001 -- as above
            self._part(error)
            return
        for row, (token, about) in zip(self._rows, drawn, strict=True):
            if not row.stream.closed:
                _take(row, token, about)

    def _drawn(self, logits: torch.Tensor) -> list[tuple[int, Told]]:
        """A token for each row of logits, (rows, vocabulary), and what is told of it."""
        import torch

        choices = [row.choice for row in self._rows]
        adjusted = torch.stack(
            [self._adjusted(row, own) for row, own in zip(self._rows, logits, strict=True)]
        )
        tokens = draw(
            adjusted,
            [choice.request.temperature for choice in choices],
            [choice.request.top_p for choice in choices],
            [choice.random for choice in choices],
        )
        about = told(logits, tokens, [choice.request.logprobs for choice in choices])
        return list(zip(tokens, about, strict=True))

    def _adjusted(self, row: Row, logits: torch.Tensor) -> torch.Tensor:
        import torch

        if not row.stream.closed:
            try:
                return row.choice.adjusted(logits)
            except Exception as error:
                if is_out_of_memory(error):
                    # fewer rows at once may fit
                    raise
                row.stream.fail(error)
        return torch.zeros_like(logits, dtype=torch.float32)

    def _go_on(self) -> None:
        """Read the tokens that were drawn, in the rows that stay."""
        kept = [
            at for at, row in enumerate(self._rows) if not (row.choice.finish_reason or row.stream.closed)
        ]
        try:
            self._keep(kept)
            self._keep(range(self._most_that_stay()))
            if self._reading is not None:
                tokens = [row.choice.written[-1] for row in self._rows]
                self._reading.go_on(tokens, range(len(self._rows)))
        except Exception as error:  # noqa: BLE001 -- as above
            self._part(error)

    def _most_that_stay(self) -> int:
        """How many rows have room for one more token; the others, the latest, wait for their next turn."""
        count = len(self._rows)
        while count > 1 and count * (self._columns + 1) > self._batch_tokens:
            count -= 1
        self._waiting.extendleft(reversed(self._rows[count:]))
        return count

    def _keep(self, places: Sequence[int]) -> None:
        if len(places) == len(self._rows):
            return
        if not places:
            self._forget()
            return
        assert isinstance(self._reading, Cached)
        self._rows = [self._rows[place] for place in places]
        self._reading.select(places)
        self._reading.narrow()

    def _forget(self) -> None:
        self._rows, self._reading = [], None

    def _part(self, error: Exception) -> None:
        """After a step that failed: what was kept is of no use. Half of the rows begin again, one fails."""
        rows = [row for row in self._rows if not (row.choice.finish_reason or row.stream.closed)]
        self._forget()
        for row in rows:
            # a token may have been drawn that was never taken
            row.choice.rewind()
        if len(rows) > 1:
            self._waiting.extendleft(reversed(rows))
            self._halve(len(rows), error)
        else:
            for row in rows:
                row.stream.fail(error)
            if not is_out_of_memory(error):
                self._most_rows = self._most
        if is_out_of_memory(error):
            release_memory()

    def _halve(self, rows: int, error: Exception) -> None:
        self._most_rows = max(1, rows // 2)
        # its words might be those of a prompt
        kind = type(error).__name__
        _log.warning("%d answers at once failed with %s: now at most %d", rows, kind, self._most_rows)


def _take(row: Row, token: int, about: Told) -> None:
    try:
        piece = row.choice.take(token, about)
    except Exception as error:  # noqa: BLE001 -- as above
        row.stream.fail(error)
        return
    row.stream.tokens += 1
    if piece.text or piece.tokens or piece.finish_reason:
        row.stream.put(piece)
