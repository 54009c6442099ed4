"""What ends training: numbers that are not finite, and memory that nothing smaller fits into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.errors import ConfigError, DataError, Problem
from tunesmith.training.memory import is_out_of_memory

__all__ = ["bad_loss", "memory_errors", "out_of_memory"]


def bad_loss(what: str, where: str, rows: int = 1) -> DataError:
    """Training has left the finite numbers: what became what, and the rows it was seen on."""
    fix = (
        "begin anew with a third of the learning rate and `precision: fp32`, and look at these rows; "
        "nothing of this step is saved, the last good checkpoint is kept"
    )
    return DataError(Problem("bad-loss", what, where, fix, count=rows))


@contextmanager
def memory_errors(where: str) -> Iterator[None]:
    """Turn what smaller micro-batches cannot help, such as the optimizer's moments, into a ConfigError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory("memory ran out where nothing can be cut smaller", where) from error


def out_of_memory(what: str, where: str) -> ConfigError:
    """Memory ran out where nothing can be cut smaller: what did not fit, and where it came from."""
    fix = "lower max_tokens or take a smaller base; or free memory and go on with --resume"
    return ConfigError(Problem("out-of-memory", what, where, fix))
