"""The janitor: removes what has expired, and what nobody refers to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tunesmith.api.exchange import log_event, log_fault
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.context import Studio, meanwhile, on_disk
from tunesmith.studio.store import Store
from tunesmith.studio.types import File, Model

__all__ = [
    "LEFT_ALONE_SECONDS",
    "cleaning",
    "remove_ended_parts",
    "remove_expired",
    "remove_old",
    "remove_orphans",
]

LEFT_ALONE_SECONDS = 3600.0
"""What is younger may just be on its way: a blob is there a moment before something refers to it"""
_EVERY_SECONDS = 60.0
_ORPHANS_EVERY = 60
_OURS = ("files", "parts")


def remove_expired(store: Store, blobs: Blobs) -> int:
    """Remove files whose time is over, and the parts of uploads that have ended; how many there were."""
    expired = store.files.take_expired()
    for file in expired:
        blobs.remove(file.blob)
    return len(expired) + remove_ended_parts(store, blobs)


def remove_ended_parts(store: Store, blobs: Blobs) -> int:
    """Remove the parts of uploads that have ended; how many there were."""
    parts = store.uploads.take_parts_of_ended()
    for part in parts:
        blobs.remove(part.blob)
    return len(parts)


def remove_old(store: Store, blobs: Blobs, config: StudioConfig) -> list[File | Model]:
    """Remove the files and ended jobs that are as old as the config says; the files and models that went."""
    gone: list[File | Model] = []
    for file_id in store.old.files(config.file_days) if config.file_days else ():
        if (file := store.old.take_file(file_id)) is not None:
            gone.append(file)
    for job_id in store.old.jobs(config.job_days) if config.job_days else ():
        gone += store.old.take_job(job_id)
    for value in gone:
        blobs.remove(value.blob)
    return gone


def remove_orphans(store: Store, blobs: Blobs, *, now: float) -> int:
    """Remove what killed writers left, and old files and parts that nothing refers to; how many there were.

    Models and the work of jobs are the workers' to remove.
    """
    blobs.sweep(now - LEFT_ALONE_SECONDS)
    old = [name for name, written in blobs.names(_OURS) if written <= now - LEFT_ALONE_SECONDS]
    # in this order: what is referred to meanwhile is young
    known = store.blobs()
    orphans = [name for name in old if name not in known]
    for name in orphans:
        blobs.remove(name)
    return len(orphans)


@asynccontextmanager
async def cleaning(studio: Studio) -> AsyncIterator[None]:
    """Clean at once and then now and again, while the block runs."""
    async with meanwhile(_clean(studio)):
        yield


async def _clean_old(studio: Studio) -> int:
    gone = await on_disk(remove_old, studio.store, studio.blobs, studio.config)
    for value in gone:
        if isinstance(value, Model):
            studio.answering.forget(value)
    return len(gone)


async def _clean(studio: Studio) -> None:
    count = 0
    while True:
        try:
            removed = await on_disk(remove_expired, studio.store, studio.blobs)
            removed += await _clean_old(studio)
            if count % _ORPHANS_EVERY == 0:
                removed += await on_disk(remove_orphans, studio.store, studio.blobs, now=time.time())
            if removed:
                log_event(f"removed={removed} blobs", "cleaned", {"removed": removed})
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next round may fare better
            log_fault("cleaning", error)
        count += 1
        await asyncio.sleep(_EVERY_SECONDS)
