"""What torchrun says of this process, and how it finds the others."""

from __future__ import annotations

import atexit
import os
from datetime import timedelta
from functools import cache

from tunesmith.errors import ConfigError, Problem
from tunesmith.processes import ALONE, Processes

__all__ = ["join", "process_count", "process_rank", "refuse_too_few"]

_TIMEOUT = timedelta(minutes=30)


def process_count() -> int:
    """How many processes torchrun has started for this run; 1 where it has not."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def process_rank() -> int:
    """Which of them this is; 0 is the main one, which alone prints and writes."""
    return int(os.environ["RANK"]) if process_count() > 1 else 0


@cache
def join() -> Processes:
    """Find the other processes of this run; ALONE where there are none.

    Raises ConfigError where a machine has fewer GPUs than processes.
    """
    count = process_count()
    if count == 1:
        return ALONE
    import torch
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    has_gpu = torch.cuda.is_available()
    store, rank, _ = next(rendezvous("env://", timeout=_TIMEOUT))
    # what is settled travels between CPUs: it must not need the memory that has just run out on a GPU
    backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_TIMEOUT)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    processes = Processes(rank, count, PrefixStore("tunesmith", store), on_this_machine=here)
    atexit.register(processes.end)
    if has_gpu:
        gpus = torch.cuda.device_count()
        processes.together(lambda: refuse_too_few(gpus, here))
    _tell_accelerate(on_cpu=not has_gpu)
    return processes


def _tell_accelerate(*, on_cpu: bool) -> None:
    import warnings

    from accelerate import PartialState

    with warnings.catch_warnings():
        # that it chooses a number of threads where none is given
        warnings.simplefilter("ignore")
        PartialState(cpu=on_cpu)


def refuse_too_few(gpus: int, processes: int) -> None:
    """Raise ConfigError where a machine has fewer GPUs than processes: NCCL wants one each."""
    if gpus < processes:
        what = f"{processes} processes were started on a machine with {gpus} GPU{'s' * (gpus != 1)}"
        fix = f"start at most one a GPU: torchrun --nproc-per-node {gpus}"
        raise ConfigError(Problem("too-few-gpus", what, "`--nproc-per-node` of torchrun", fix))
