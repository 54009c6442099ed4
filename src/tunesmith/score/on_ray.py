"""Pieces -> answers on a Ray cluster: a reader beside the driver, and workers that hold the model once each.

Ray Data streams pieces from the reader to whichever worker is free; a worker that dies is replaced, and its
piece is given to another. Only the driver writes. The model must lie at the same path on every machine.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.errors import ConfigError, Problem, ServiceError
from tunesmith.score.here import Done
from tunesmith.score.ray_worker import Worker, done_of, read_blocks
from tunesmith.score.source import Source, Span

__all__ = ["OWN_CLUSTER", "Cluster", "connected"]

# Ray sends no statistics of use
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
# Ray listens on loopback alone where it may not make clusters of several machines; and other users of this
# machine have no token
OWN_CLUSTER = _QUIET | {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""The variables of a cluster that is started for one call, which Ray reads when it is imported"""

_ANSWER_SECONDS = 10
# what a task asks of a resource that it only needs to be there
_LITTLE = 0.001


class Cluster:
    """A Ray cluster that was connected to."""

    def __init__(self, ray: Any) -> None:
        found = ray.cluster_resources()
        self.gpus = int(found.get("GPU", 0))
        self.workers = max(1, self.gpus or int(found.get("CPU", 1)))
        """One a GPU, or where there is none one a core"""
        self._ray = ray

    def answered(
        self, source: Source, done: Sequence[Span], model: Path, identity: str, min_confidence: float
    ) -> Iterator[Done]:
        """What is not `done` yet, piece by piece as workers answer them, in no order.

        Raises what reading or answering raises, wherever it did, and ServiceError where the cluster fails;
        `identity` is what the model must be on every machine.
        """
        from ray.exceptions import RayError

        how = {"model": str(model.absolute()), "identity": identity, "min_confidence": min_confidence}
        with _small_blocks():
            try:
                for row in self._answering(source, done, how).iter_rows():
                    yield done_of(row)
            except RayError as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
                fix = "look into Ray's own logs; then go on with --resume"
                what = f"the cluster failed: {reason}"
                raise ServiceError(Problem("cluster-failed", what, "the Ray cluster", fix)) from error

    def _answering(self, source: Source, done: Sequence[Span], how: dict[str, Any]) -> Any:
        from ray.data import ActorPoolStrategy

        return self._pieces(source, done).map_batches(
            Worker,
            fn_constructor_kwargs=how,
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=self.workers),
            num_cpus=0 if self.gpus else 1,
            num_gpus=1 if self.gpus else None,
        )

    def _pieces(self, source: Source, done: Sequence[Span]) -> Any:
        from ray.data import read_datasource

        # a machine's own resource: the table need not be where the workers are
        here = f"node:{self._ray.util.get_node_ip_address()}"
        return read_datasource(
            _reader(source, done),
            override_num_blocks=1,
            # it waits most of the time, and all cores are the workers'
            num_cpus=0,
            resources={here: _LITTLE},
        )


def _reader(source: Source, done: Sequence[Span]) -> Any:
    """One task that reads the pieces one after the other, as far ahead as Ray has room for."""
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    directory = Path.cwd()

    class Pieces(Datasource):  # type: ignore[misc]
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, *_: object, **__: object) -> list[Any]:
            about = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(lambda: read_blocks(source, done, directory), about)]

    return Pieces()


@contextmanager
def _small_blocks() -> Iterator[None]:
    """Let Ray Data hand on each piece by itself, and show nothing: both are settings of a whole process."""
    from ray.data import DataContext

    settings = DataContext.get_current()
    before = settings.target_max_block_size, settings.enable_progress_bars
    settings.target_max_block_size, settings.enable_progress_bars = 1, False
    try:
        yield
    finally:
        settings.target_max_block_size, settings.enable_progress_bars = before


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to the cluster at `address`, else to one that is started on this machine's cores.

    One that this process is connected to is used, and left as it is. Raises ConfigError where ray is not
    installed, ServiceError where there is no cluster.
    """
    late = sys.modules.get("ray") is not None
    if not late:
        os.environ.update(_QUIET if address else OWN_CLUSTER)
    ray = _imported()
    if ray.is_initialized():
        yield Cluster(ray)
        return
    if late and address is None:
        what = "Ray was imported before, and a cluster of its own would be open to the network"
        fix = "call ray.init first, or name a cluster"
        raise ServiceError(Problem("no-cluster", what, "this process", fix))
    _connect(ray, address)
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        how["include_dashboard"] = False
    try:
        _knock(address)
        ray.init(address or "local", **how)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        what = f"the Ray cluster does not answer: {str(error).splitlines()[0]}"
        fix = "start one with `ray start --head`, and give its address, such as 127.0.0.1:6379"
        raise ServiceError(Problem("no-cluster", what, address or "this machine", fix)) from error


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens at `address`, for which Ray itself would wait for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()


def _imported() -> Any:
    try:
        import ray.data
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "ray.data"):
            raise
        what = "a cluster needs Ray, which is not installed"
        fix = "install it: pip install 'tunesmith[cluster]'; or leave --on out"
        raise ConfigError(Problem("cluster-extra", what, "--on ray", fix)) from None
    return ray
