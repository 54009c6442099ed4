"""One model of which every process holds a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from tunesmith.model.blocks import add_block_method
from tunesmith.model.layers import blocks_of
from tunesmith.model.packed import can_pack
from tunesmith.processes import Processes
from tunesmith.training.parallel import Spread, begin_alike, trained

__all__ = ["Parts"]

ResultT = TypeVar("ResultT")


class _Root(torch.nn.Module):
    """Calls any function of a model as a forward pass of its own, so that FSDP's hooks stand around it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[Any], ResultT]) -> ResultT:
        return work(self.model)


class Parts(Spread):
    """A part each of weights, gradients and moments, by torch's FSDP2: a block is whole only while it runs.

    What trains is a twin, since FSDP changes modules for good; the model itself stays on the CPU meanwhile.
    """

    in_step = True

    def __init__(self, model: Any, processes: Processes, device: Any) -> None:
        begin_alike(model, processes)
        self._given, self.model, self._device = model, deepcopy(model), device
        # FSDP leaves the mean over the processes
        self.factor = float(processes.count)
        mesh = init_device_mesh(device.type, (processes.count,))
        for block in blocks_of(self.model):
            fully_shard(block, mesh=mesh)
            if can_pack(model):
                register_fsdp_forward_method(block, add_block_method(block, model.config.model_type))
        self._root = _Root(self.model)
        # FSDP would leave the root whole after a pass; but between passes optimizer and checkpoints see parts
        fully_shard(self._root, mesh=mesh, reshard_after_forward=True)

    def run(self, work: Callable[[Any], ResultT]) -> ResultT:
        """Run inside FSDP's hooks."""
        result: ResultT = self._root(work)
        return result

    def sum_gradients(self) -> None:
        """FSDP has done it."""

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """Gathered from all processes, in each."""
        tensor = tensor.detach()
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def part(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """The rows of this process."""
        assert isinstance(like, DTensor)
        whole = whole.to(self._device)
        return distribute_tensor(whole, like.device_mesh, like.placements) if whole.ndim else whole

    def finish(self) -> None:
        """Fill the model that was given, and put it on the device."""
        values: Mapping[str, Any] = trained(self.model)
        with torch.no_grad():
            for name, parameter in trained(self._given).items():
                parameter.copy_(self.whole(values[name]))
        self._given.to(self._device).eval()
