"""Train for two steps and print by how many bytes the process grew at most, beyond its imports."""

from __future__ import annotations

import json
import sys

import accelerate.utils  # noqa: F401 (what every process pays, whatever the data)
import sklearn.linear_model  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401

import tunesmith
from tunesmith.training.memory import peak_memory_bytes
from tunesmith.training.state import Interrupted, Progress

__all__ = ["main"]


class _Steps(tunesmith.Listener):
    taken = 0

    def training(self, progress: Progress) -> None:
        self.taken = progress.step


def main(data: str, base: str, out: str) -> None:
    """Train on `data` from `base`."""
    recipe = tunesmith.Recipe(base=base, method="full", epochs=1)
    before, steps = peak_memory_bytes(), _Steps()
    try:
        tunesmith.train(data, out=out, recipe=recipe, listener=steps, should_stop=lambda: steps.taken >= 2)
    except Interrupted:
        grown = {"steps": steps.taken, "bytes": peak_memory_bytes() - before}
        sys.stdout.write(json.dumps(grown) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
