"""What a loss is multiplied by, so that gradients in fp16 neither vanish nor overflow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import torch

    from tunesmith.training.precision import Precision

__all__ = ["LossScale"]

# torch's GradScaler begins, grows and backs off by the same numbers
_FIRST = 65536.0
_STEPS_TO_GROW = 2000
_FACTOR = 2.0


@dataclass(slots=True)
class LossScale:
    """The rule of torch's GradScaler, decided by the norm of all gradients.

    A norm is the same in every process, and two numbers are all there is to save. At 1 nothing is scaled,
    and gradients that are not finite are no fault of the format.
    """

    value: float = 1.0
    good_steps: int = 0
    """Steps taken since the value last changed"""

    @classmethod
    def of(cls, precision: Precision) -> Self:
        """Where a run begins: only fp16 has gradients that vanish."""
        return cls(_FIRST) if precision == "fp16" else cls()

    def undo(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Divide the gradients by the value."""
        if self.value == 1.0:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(1 / self.value)

    def backs_off(self, norm: float) -> bool:
        """Whether a step with gradients of this norm is to be left out; the value is smaller from then on."""
        if math.isfinite(norm):
            self._count()
            return False
        if self.value <= 1.0:
            return False
        self.value, self.good_steps = max(1.0, self.value / _FACTOR), 0
        return True

    def _count(self) -> None:
        if self.value == 1.0:
            return
        self.good_steps += 1
        if self.good_steps == _STEPS_TO_GROW:
            self.value, self.good_steps = self.value * _FACTOR, 0
