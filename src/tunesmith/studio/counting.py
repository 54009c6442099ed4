"""How many jobs there are in each state, for monitors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

from prometheus_client import Gauge

from tunesmith.api.exchange import log_fault
from tunesmith.studio.context import Studio, meanwhile, on_disk
from tunesmith.studio.types import JobStatus

__all__ = ["counting"]

_EVERY_SECONDS = 5.0


@asynccontextmanager
async def counting(studio: Studio) -> AsyncIterator[None]:
    """Count at once and then now and again, while the block runs: a scrape must not wait for a database."""
    gauge = studio.metrics.gauge("jobs", "Jobs of all projects, by status.", "status")
    async with meanwhile(_count(studio, gauge)):
        yield


async def _count(studio: Studio, gauge: Gauge) -> None:
    while True:
        try:
            counts = await on_disk(studio.store.jobs.by_status)
            for status in get_args(JobStatus):
                gauge.labels(status).set(counts.get(status, 0))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next round may fare better
            log_fault("counting", error)
        await asyncio.sleep(_EVERY_SECONDS)
