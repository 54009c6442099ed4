"""A file of ONNX -> an engine that answers, without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.errors import BundleError, ConfigError, Problem
from tunesmith.model.encode import Encoded, micro_batches
from tunesmith.model.forward import Floats
from tunesmith.onnx.inputs import PACKED, Feeds, packed_feeds, padded_feeds
from tunesmith.priority import give_way

__all__ = ["OnnxEngine", "require_onnx"]

# larger batches leave the processor's cache and are no faster
_MOST_TOKENS = 2048


class OnnxEngine:
    """Runs one graph on the processor's cores; several threads may call it at once."""

    def __init__(self, path: Path, labels: int, pad_token_id: int, *, name: str, parameters: int) -> None:
        """Open the graph; raises BundleError where ONNX Runtime cannot, ConfigError where it is not there."""
        require_onnx("onnxruntime")
        self.name = name
        self.parameters = parameters
        self.size_bytes = sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))
        self._labels = labels
        self._pad_token_id = pad_token_id
        self._session = _opened(path)
        self._packed = [given.name for given in self._session.get_inputs()] == list(PACKED)

    def logits(self, encoded: Encoded, micro_batch_tokens: int) -> Floats:
        """(texts, labels) what the head says of each text, in the order given."""
        answers = np.zeros((len(encoded), self._labels), np.float64)
        most = min(micro_batch_tokens, _MOST_TOKENS)
        for group in micro_batches(encoded.lengths, most, packed=self._packed):
            (answers[group],) = self._session.run(None, self._feeds(encoded, group))
        return answers

    def _feeds(self, encoded: Encoded, group: list[int]) -> Feeds:
        rows = [encoded[row] for row in group]
        return packed_feeds(rows) if self._packed else padded_feeds(rows, self._pad_token_id)


def require_onnx(*packages: str) -> None:
    """Raise ConfigError where a package that ONNX needs is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        what = f"ONNX needs packages that are not installed: {', '.join(missing)}"
        raise ConfigError(
            Problem("onnx-extra", what, "this Python", "install them: pip install 'tunesmith[onnx]'")
        )


def _opened(path: Path) -> Any:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; warnings are about what its optimiser did
    options.intra_op_num_threads = torch.get_num_threads()
    # threads that spin while they wait hold cores that the server and tokenizers need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    opened = partial(onnxruntime.InferenceSession, str(path), options, providers=["CPUExecutionProvider"])
    try:
        # its threads are of the priority of the one that starts them
        with ThreadPoolExecutor(1, initializer=give_way) as behind:
            return behind.submit(opened).result()
    except Exception as error:  # ONNX Runtime's errors share no class but this
        what = f"ONNX Runtime cannot open the graph: {str(error).strip().splitlines()[0]}"
        fix = "export it again on this machine: tunesmith export RUN --to onnx"
        raise BundleError(Problem("bundle-damaged", what, str(path), fix)) from error
