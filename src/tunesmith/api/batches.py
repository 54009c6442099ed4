"""Batches: files that are answered one after the other, behind all who ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import IO

from tunesmith.api.batch import Batch, BatchRecord, Status, Stopped, Suffix, is_batch_id, new_batch_id
from tunesmith.api.batch_facts import BatchProblem
from tunesmith.api.exchange import log_fault
from tunesmith.api.refusal import Refusal
from tunesmith.api.served import Served
from tunesmith.api.settings import Settings
from tunesmith.api.spool import Spool
from tunesmith.errors import UserError

__all__ = ["Batches"]

_SWEEP_SECONDS = 60.0
_RETRY_SECONDS = 60
_WRITE_BYTES = 1 << 20


class Batches:
    """The batches of one server; all but the answers happens in the event loop. `running` must be running."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._batches: dict[str, Batch] = {}
        self._waiting: asyncio.Queue[tuple[Batch, Served]] = asyncio.Queue()
        self._uploading = 0
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._spool: Spool | None = None

    async def add(
        self,
        chunks: AsyncIterator[bytes],
        served: Served,
        *,
        owner: str,
        suffix: Suffix,
        text_column: str | None,
    ) -> Batch:
        """Take in a file; raises Refusal `too-many-batches`, `spool-full`, and whatever `chunks` raise.

        It is answered by the model that has the name now, whatever comes to have it later.
        """
        self.expire()
        if len(self._batches) + self._uploading >= self._settings.max_batches:
            message = "the server holds as many batches as it may; forget one with DELETE, or try again later"
            raise Refusal("too-many-batches", message, headers={"Retry-After": str(_RETRY_SECONDS)})
        record = BatchRecord(
            id=new_batch_id(),
            owner=owner,
            model=served.name,
            suffix=suffix,
            text_column=text_column,
            created=self._now(),
        )
        self._uploading += 1
        try:
            batch = await self._uploaded(record, chunks)
        finally:
            self._uploading -= 1
        self._batches[record.id] = batch
        self._waiting.put_nowait((batch, served))
        return batch

    def find(self, batch_id: str, owner: str) -> Batch:
        """A batch of that owner's; raise Refusal `no-such-batch`, be it another's or none."""
        self.expire()
        batch = self._batches.get(batch_id) if is_batch_id(batch_id) else None
        if batch is None or batch.record.owner != owner:
            raise Refusal("no-such-batch", "there is no such batch, or it has expired")
        return batch

    def forget(self, batch: Batch) -> None:
        """End its work and remove its files."""
        batch.stop.set()
        del self._batches[batch.record.id]
        # what is at work ends first
        if batch.record.status != "running":
            self._its_spool.remove(batch)

    def expire(self) -> None:
        """Forget what ended long ago."""
        oldest = self._now() - self._settings.batch_keep_seconds
        for batch in [each for each in self._batches.values() if (each.record.ended or oldest + 1) <= oldest]:
            self.forget(batch)

    def stop(self) -> None:
        """End all work; what is not done is `stopped`."""
        self._stopping = True
        for batch in self._batches.values():
            batch.stop.set()
            if batch.record.status == "waiting":
                self._end(batch, "stopped")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer batches while the block runs."""
        with ExitStack() as stack:
            self._spool = stack.enter_context(Spool.opened(self._settings.spool))
            for batch in self._spool.found():
                self._batches[batch.record.id] = batch
                if batch.record.ended is None:
                    self._end(batch, "stopped")
            tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._sweep())]
            try:
                yield
            finally:
                self.stop()
                await self._waiting.join()
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                self._thread.shutdown()

    @property
    def _its_spool(self) -> Spool:
        assert self._spool is not None, "`running` must be running"
        return self._spool

    async def _uploaded(self, record: BatchRecord, chunks: AsyncIterator[bytes]) -> Batch:
        try:
            batch = self._its_spool.make(record)
        except OSError as error:
            raise _full(error) from error
        try:
            with batch.source.open("wb") as file:
                await _write(file, chunks)
            await asyncio.to_thread(self._its_spool.save, batch)
        except BaseException as error:
            self._its_spool.remove(batch)
            if isinstance(error, OSError | UserError):
                raise _full(error) from error
            raise
        return batch

    async def _work(self) -> None:
        while True:
            # in a function of its own: a name here would keep the last model in memory
            await self._answer_next()

    async def _answer_next(self) -> None:
        batch, served = await self._waiting.get()
        try:
            if not batch.stop.is_set() and not self._stopping:
                await self._answer(batch, served)
            elif batch.record.ended is None and batch.record.id in self._batches:
                self._end(batch, "stopped")
        finally:
            self._waiting.task_done()

    async def _answer(self, batch: Batch, served: Served) -> None:
        batch.record.status = "running"
        work = partial(batch.answer, served.predict_behind, served.task)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Stopped:
            self._end(batch, "stopped")
        except UserError as error:
            batch.record.problems = batch.told(error.problems)
            self._end(batch, "failed")
        except Exception as error:  # noqa: BLE001 -- the next batch is not to blame
            log_fault(batch.record.id, error)
            what = f"the server has a fault; its log has more under {batch.record.id}"
            batch.record.problems = [BatchProblem(code="server-fault", what=what, count=1)]
            self._end(batch, "failed")
        else:
            self._end(batch, "done")

    def _end(self, batch: Batch, status: Status) -> None:
        batch.record.status = status
        batch.record.ended = self._now()
        if batch.record.id not in self._batches:
            self._its_spool.remove(batch)
            return
        batch.source.unlink(missing_ok=True)
        # a full disk is told elsewhere
        with suppress(UserError):
            self._its_spool.save(batch)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.expire()


async def _write(file: IO[bytes], chunks: AsyncIterator[bytes]) -> None:
    """Write in large pieces beside the event loop: a slow disk must not hold up others."""
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _WRITE_BYTES:
            await asyncio.to_thread(file.write, bytes(piece))
            piece.clear()
    await asyncio.to_thread(file.write, bytes(piece))


def _full(error: Exception) -> Refusal:
    log_fault("spool", error)
    return Refusal("spool-full", "the server has no room for the file; the log has more")
