"""What the store will not do -> Refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from tunesmith.api.exchange import exchange_of, log_fault
from tunesmith.api.refusal import Refusal
from tunesmith.errors import StorageError
from tunesmith.studio.store.job_rows import Gone, WrongState
from tunesmith.studio.store.requests import KeyReused
from tunesmith.studio.store.rows import InUse, NoRoom, NoSuchCursor

__all__ = ["add_storage_faults", "disk_low", "no_such_model", "storage_fault", "store_refusals"]


@contextmanager
def store_refusals(no_room: Refusal | None = None) -> Iterator[None]:
    """Tell in the caller's words why the store refuses; `no_room` where the project has all it may have."""
    try:
        yield
    except NoRoom:
        assert no_room is not None
        raise no_room from None
    except NoSuchCursor:
        raise Refusal("bad-field", "`after` must be the id of something in the list", param="after") from None
    except KeyReused:
        message = "this Idempotency-Key came before, with another request; make a new one"
        raise Refusal("key-reused", message, param="Idempotency-Key") from None
    except InUse as error:
        jobs = ", ".join(error.jobs[:3])
        raise Refusal("in-use", f"jobs that have not ended need this: {jobs}; cancel them first") from None
    except Gone as error:
        message = f"`{error.field}` names nothing of yours that could be trained with"
        raise Refusal("not-for-training", message, param=error.field) from None
    except WrongState as error:
        words = error.status.replace("_", " ")
        raise Refusal("wrong-state", f"this cannot be done with a job that is {words}") from None


def add_storage_faults(app: FastAPI) -> None:
    """Let the app answer where a disk or the database does not."""
    app.add_exception_handler(StorageError, _refuse_storage)
    app.add_exception_handler(DBAPIError, _refuse_storage)


async def _refuse_storage(request: Request, error: Exception) -> NoReturn:
    log_fault(exchange_of(request).request_id, error)
    codes = [problem.code for problem in error.problems] if isinstance(error, StorageError) else []
    if "disk-full" in codes:
        raise disk_low() from error
    raise storage_fault() from error


def disk_low() -> Refusal:
    """What a request hears where it would leave too little room on the disk."""
    return Refusal("disk-low", "the studio has no room for this; its operator can make some")


def no_such_model() -> Refusal:
    """What a request hears that names no base, and no model of its project."""
    return Refusal("no-such-model", "there is no model of this name", param="model")


def storage_fault() -> Refusal:
    """What a request hears where a disk or the database does not answer."""
    message = "the studio cannot reach what it keeps; send the request again in a moment"
    return Refusal("storage-fault", message, headers={"Retry-After": "1"})
