"""A packed graph -> the same graph that multiplies 8-bit integers.

Each token's activations get a scale of their own, so that an answer does not depend on what it is batched
with; a scale over the whole batch, which is usual, would make it. Weights have a scale for each output and
lie within ±63: processors without VNNI add two products in 16 bits, and more would overflow there. Token
embeddings are 8 bits with a scale a token; the head, norms and attention's own products stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.errors import ExportError, Problem
from tunesmith.onnx.inputs import PACKED

__all__ = ["write_int8"]

_MOST_WEIGHT = 63
_MOST_EMBEDDING = 127
_ZERO = 128
_CONTRIB = "com.microsoft"
# a head for few labels costs nothing, and answers hang on it
_LEAST_OUTPUTS = 16
Floats32 = npt.NDArray[np.float32]


def write_int8(graph: Path, path: Path) -> None:
    """Read a packed graph and write it, quantised, to `path`; raises ExportError where it is padded."""
    import onnx

    model = onnx.load(str(graph))
    if [given.name for given in model.graph.input] != list(PACKED):
        what = "8-bit integers are for architectures whose texts are not padded, and this one's are"
        raise ExportError(Problem("not-exportable", what, "the model", "export it `--to onnx`"))
    _Quantiser(model).run()
    onnx.save(model, str(path))


@dataclass(slots=True)
class _Quantiser:
    """Rewrites one graph from its first node to its last."""

    model: Any
    _constants: dict[str, Any] = field(default_factory=dict)
    _tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    """value -> its 8-bit integers and the scale of each of its tokens"""

    def run(self) -> None:
        """Put 8-bit nodes in the place of those that multiply or look up large weights."""
        from onnx import helper

        graph = self.model.graph
        self._constants = {constant.name: constant for constant in graph.initializer}
        nodes = [new for node in graph.node for new in self._instead(node)]
        del graph.node[:]
        graph.node.extend(nodes)
        self._drop_unused(nodes)
        if all(known.domain != _CONTRIB for known in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))

    def _instead(self, node: Any) -> Iterator[Any]:
        if (weight := self._linear(node)) is not None:
            yield from self._product(node, weight)
        elif node.op_type == "Gather" and self._is_table(node):
            yield from self._lookup(node)
        else:
            yield node

    def _linear(self, node: Any) -> Floats32 | None:
        """(inputs, outputs) the weight of a linear layer, where the node is one and large enough."""
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in self._constants:
            return None
        options = {given.name: given for given in node.attribute}
        if any(name in options and options[name].f != 1 for name in ("alpha", "beta")):
            return None
        weight = self._array(node.input[1])
        if weight.ndim != 2 or ("transA" in options and options["transA"].i):
            return None
        turned = weight.T if "transB" in options and options["transB"].i else weight
        return turned if turned.shape[1] >= _LEAST_OUTPUTS else None

    def _product(self, node: Any, weight: Floats32) -> Iterator[Any]:
        name = node.output[0]
        scale = _scales(weight, 0, _MOST_WEIGHT)
        integers = self._constant(f"{name}.weight", _integers(weight, scale, _MOST_WEIGHT))
        scales = self._constant(f"{name}.scales", scale[0])
        source = node.input[0]
        if source not in self._tokens:
            yield from self._quantised(source)
        tokens, token_scales = self._tokens[source]
        bias = node.input[2] if len(node.input) > 2 else None
        one, zero = self._constant("one", np.float32(1)), self._constant("zero", np.uint8(_ZERO))
        product, scaled = f"{name}.product", name if bias is None else f"{name}.scaled"
        inputs = [tokens, integers, one, scales, zero]
        yield _node("MatMulIntegerToFloat", inputs, product, domain=_CONTRIB)
        yield _node("Mul", [product, token_scales], scaled)
        if bias is not None:
            yield _node("Add", [scaled, bias], name)

    def _quantised(self, source: str) -> Iterator[Any]:
        """(tokens, width) -> unsigned integers around 128, by each token's largest magnitude."""
        axis = self._constant("last axis", np.array([-1], np.int64))
        step = self._constant("step", np.float32(1 / 127))
        least = self._constant("least", np.float32(1e-9))
        zero = self._constant("zeros", np.array([_ZERO], np.uint8))
        at = {part: f"{source}.{part}" for part in ("size", "most", "raw", "scale", "flat", "shape", "zeros")}
        yield _node("Abs", [source], at["size"])
        yield _node("ReduceMax", [at["size"], axis], at["most"], keepdims=1)
        yield _node("Mul", [at["most"], step], at["raw"])
        yield _node("Max", [at["raw"], least], at["scale"])
        yield _node("Squeeze", [at["scale"], axis], at["flat"])
        yield _node("Shape", [at["flat"]], at["shape"])
        yield _node("Expand", [zero, at["shape"]], at["zeros"])
        yield _node("QuantizeLinear", [source, at["flat"], at["zeros"]], f"{source}.integers", axis=0)
        self._tokens[source] = (f"{source}.integers", at["scale"])

    def _is_table(self, node: Any) -> bool:
        return node.input[1] == PACKED[0] and node.input[0] in self._constants

    def _lookup(self, node: Any) -> Iterator[Any]:
        """A token's embedding is its integers times its scale."""
        from onnx import TensorProto

        table, (ids, name) = self._array(node.input[0]), (node.input[1], node.output[0])
        scale = _scales(table, 1, _MOST_EMBEDDING)
        integers = self._constant(f"{name}.table", _integers(table, scale, _MOST_EMBEDDING))
        scales = self._constant(f"{name}.scales", scale)
        yield _node("Gather", [integers, ids], f"{name}.integers")
        yield _node("Gather", [scales, ids], f"{name}.scale")
        yield _node("Cast", [f"{name}.integers"], f"{name}.values", to=TensorProto.FLOAT)
        yield _node("Mul", [f"{name}.values", f"{name}.scale"], name)

    def _array(self, name: str) -> Any:
        from onnx import numpy_helper

        return numpy_helper.to_array(self._constants[name])

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            made = numpy_helper.from_array(np.asarray(value), name)
            self.model.graph.initializer.append(made)
            self._constants[name] = made
        return name

    def _drop_unused(self, nodes: Sequence[Any]) -> None:
        used = {name for node in nodes for name in node.input}
        constants = self.model.graph.initializer
        kept = [constant for constant in constants if constant.name in used]
        del constants[:]
        constants.extend(kept)


def _scales(weight: Floats32, axis: int, most: int) -> Floats32:
    """The scale along `axis` by which the largest magnitude becomes `most`."""
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    return np.where(largest > 0, largest / most, 1).astype(np.float32)


def _integers(weight: Floats32, scale: Floats32, most: int) -> npt.NDArray[np.int8]:
    rounded: npt.NDArray[np.int8] = np.clip(np.rint(weight / scale), -most, most).astype(np.int8)
    return rounded


def _node(kind: str, inputs: Sequence[str], output: str, **options: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, list(inputs), [output], name=f"{output}:{kind}", **options)
