"""How fast a server could be that did nothing but a model's matrix products, at this machine's best speed.

    python -m benchmarks.ceiling

The products of the linear layers are counted, as few of them as an exact answer needs: in the last block only
what the last token asks for. Attention, norms, tokens, HTTP and clients are not: so no server is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.one_training import gemm_peak

__all__ = ["best_speeds", "operations"]

# as many tokens as a batch of the server has; fewer are slower
_TOKENS = 2048
_SECONDS = 1.0
_WIDTHS = (384, 768)


def operations(blocks: int, width: int, tokens: int) -> float:
    """Of the linear layers of a GPT-2, for one text: 2 for each weight and token."""
    whole, keys_and_values = 12 * width**2, 2 * width**2
    return 2.0 * ((blocks - 1) * whole * tokens + keys_and_values * tokens + (whole - keys_and_values))


def best_speeds(width: int) -> dict[str, float]:
    """Operations a second of products as in a block of this width: the best of torch and ONNX Runtime."""
    shapes = ((width, 4 * width), (4 * width, width))
    fp32 = max(gemm_peak(width, torch.float32), *(_fp32(*shape) for shape in shapes))
    return {"fp32": fp32, "int8": max(_int8(*shape) for shape in shapes)}


def _fp32(inner: int, outer: int) -> float:
    chance = np.random.default_rng(0)
    states = chance.standard_normal((_TOKENS, inner), np.float32)
    weight = chance.standard_normal((inner, outer), np.float32)
    return _speed(_graph("MatMul", ["states", "weight"], {"weight": weight}, ""), states, outer)


def _int8(inner: int, outer: int) -> float:
    """Of the node that `tunesmith export --to onnx-int8` writes."""
    chance = np.random.default_rng(0)
    states = chance.integers(0, 256, (_TOKENS, inner), np.uint8)
    constants = {
        "weight": chance.integers(-63, 64, (inner, outer), np.int8),
        "one": np.float32(1),
        "scales": np.ones(outer, np.float32),
        "zero": np.uint8(128),
    }
    graph = _graph("MatMulIntegerToFloat", ["states", *constants], constants, "com.microsoft")
    return _speed(graph, states, outer)


def _graph(kind: str, inputs: list[str], constants: dict[str, Any], domain: str) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    element = TensorProto.UINT8 if domain else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, ["product"], domain=domain)],
        "product",
        [helper.make_tensor_value_info("states", element, [None, None])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, [None, None])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    sets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=10).SerializeToString()


def _speed(graph: bytes, states: np.ndarray[Any, Any], outer: int) -> float:
    """Operations a second of one graph that has one product."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return 2 * states.size * outer / _quickest(lambda: session.run(None, {"states": states}))


def _quickest(run: Callable[[], Any]) -> float:
    """Seconds of the quickest call within a second."""
    best, ends = float("inf"), time.perf_counter() + _SECONDS
    run()
    while (began := time.perf_counter()) < ends:
        run()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    """Print the speeds of this machine."""
    for width in _WIDTHS:
        found = {name: f"{speed / 1e9:.0f} GFLOP/s" for name, speed in best_speeds(width).items()}
        Console().print(f"width {width}: {found}")


if __name__ == "__main__":
    main()
