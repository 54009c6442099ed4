"""What travels of a batch."""

from __future__ import annotations

from tunesmith.api.schemas import Wire

__all__ = ["BatchFacts", "BatchProblem"]


class BatchProblem(Wire):
    """What is wrong with rows of a file, or with all of it."""

    code: str
    """A heading of the error reference."""

    what: str
    """What is wrong, and where it is so first."""

    count: int
    """Rows of which this is so."""


class BatchFacts(Wire):
    """How far a batch is."""

    id: str
    """Its name, which nobody can guess."""

    status: str
    """`waiting`, `running`, `done`, `failed` (the file cannot be read), or `stopped` (the server ended)."""

    model: str
    """The name of the model that answers it."""

    rows_done: int
    """Rows that are answered."""

    rows_total: int | None
    """Rows of the file that can be read; null until they are counted."""

    rows_per_second: float | None
    """How quickly it goes."""

    problems: list[BatchProblem]
    """Rows that could not be read or answered, or why the batch failed."""

    created_at: str
    """When it came, as ISO 8601 has it."""

    expires_at: str | None
    """When it will be forgotten; null until it has ended."""
