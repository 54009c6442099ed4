"""How processes hold one model: a copy each (`ddp`), or a part each (`fsdp`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tunesmith.processes import Processes
from tunesmith.recipe import Parallel

if TYPE_CHECKING:
    import torch

__all__ = ["Spread", "begin_alike", "spread", "trained"]

ResultT = TypeVar("ResultT")


class Spread(Protocol):
    """One model over all processes. Every method is called by all of them."""

    model: Any
    """What trains here"""
    factor: float
    """What a loss is multiplied with before it goes backward, so that gradients are summed and no mean"""
    in_step: bool
    """Whether all processes must take equally many passes"""

    def run(self, work: Callable[[Any], ResultT]) -> ResultT:
        """What `work` returns for the model; every pass through the model stands in it."""
        ...

    def sum_gradients(self) -> None:
        """After the last backward pass: leave the gradients of all processes together."""
        ...

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """All of a weight, gradient or moment."""
        ...

    def part(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """What of `whole` belongs here, held as the weight `like` is."""
        ...

    def finish(self) -> None:
        """Leave the model that was given with the weights that were trained, in evaluation mode."""
        ...


def spread(model: Any, parallel: Parallel | None, processes: Processes) -> Spread:
    """Spread `model` over the processes; all begin with the weights of the main one."""
    from accelerate import PartialState

    device = PartialState().device
    if parallel == "fsdp" and processes.count > 1:
        # it defines a module, for which torch has to be there when it is imported
        from tunesmith.training.parts import Parts

        return Parts(model, processes, device)
    return _Copies(model, processes, device)


def trained(model: Any) -> dict[str, torch.nn.Parameter]:
    """What trains, by name; all else stays as the base has it."""
    # named_parameters lists tied weights once, as safetensors wants them
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def begin_alike(model: Any, processes: Processes) -> None:
    """Give what trains the main process's values, in all of them."""
    import torch

    with torch.no_grad():
        for value in trained(model).values():
            processes.send(value.data)


class _Copies(Spread):
    """A copy each. Gradients are summed once, when all backward passes are done.

    torch's DDP sums them in the midst of the last backward pass: where that runs out of memory in one
    process, the others wait for ever. Here all have agreed that theirs is done before anything is summed,
    and a process without a row needs no pass at all.
    """

    factor, in_step = 1.0, False

    def __init__(self, model: Any, processes: Processes, device: Any) -> None:
        self.model, self._processes = model, processes
        if not getattr(model, "is_quantized", False):
            model.to(device)
        begin_alike(model, processes)

    def run(self, work: Callable[[Any], ResultT]) -> ResultT:
        return work(self.model)

    def sum_gradients(self) -> None:
        import torch

        if self._processes.count == 1:
            return
        parameters = list(trained(self.model).values())
        moved = self._processes.gather([value.grad is not None for value in parameters])
        for value, is_moved in zip(parameters, moved.max(axis=0).tolist(), strict=True):
            # one that moves in no process must stay as it is: the optimizer passes over it
            if is_moved and value.grad is None:
                value.grad = torch.zeros_like(value)
        self._processes.add_up([value.grad for value in parameters if value.grad is not None])

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach()

    def part(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return whole.to(like.device)

    def finish(self) -> None:
        self.model.eval()
