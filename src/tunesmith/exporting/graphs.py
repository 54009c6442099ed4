"""A model -> a graph of ONNX, in 32 bits or 8."""

from __future__ import annotations

from pathlib import Path

from tunesmith.bundle import GRAPH, Bundle
from tunesmith.onnx.session import OnnxEngine
from tunesmith.predict import Predictor

__all__ = ["write_exact", "write_rounded"]


def write_exact(directory: Path, bundle: Bundle, source: Predictor) -> Predictor:  # noqa: ARG001 -- as all forms
    """Write the graph in 32 bits, and return what answers with it."""
    from tunesmith.onnx.graph import write_graph

    write_graph(source.classifier.model.eval(), directory / GRAPH)
    return _opened(directory, source, "onnx")


def write_rounded(directory: Path, bundle: Bundle, source: Predictor) -> Predictor:
    """Write the graph in 8 bits, and return what answers with it."""
    from tunesmith.onnx.int8 import write_int8

    write_exact(directory, bundle, source)
    # read whole before it is written: it may take its own place
    write_int8(directory / GRAPH, directory / GRAPH)
    (directory / f"{GRAPH}.data").unlink(missing_ok=True)
    return _opened(directory, source, "onnx-int8")


def _opened(directory: Path, source: Predictor, name: str) -> Predictor:
    tokenizer, labels = source.classifier.tokenizer, len(source.labels)
    engine = OnnxEngine(
        directory / GRAPH, labels, tokenizer.pad_token_id, name=name, parameters=source.parameters
    )
    return source.computed_by(engine)
