"""`tunesmith.export`: a run -> ONNX, 8-bit ONNX, a plain model of transformers, or an adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.bundle import Bundle, complete_exported
from tunesmith.errors import ConfigError, Problem
from tunesmith.exporting.adapter import refuse_adapter, write_adapter
from tunesmith.exporting.graphs import write_exact, write_rounded
from tunesmith.exporting.parity import EXACT, ROUNDED, Parity, compare_answers
from tunesmith.exporting.plain import write_plain
from tunesmith.exporting.rows import compared_rows
from tunesmith.files import refuse_existing, staged_directory, write_json
from tunesmith.listener import Listener
from tunesmith.onnx.session import require_onnx
from tunesmith.pipeline import find_bundle
from tunesmith.predict import TORCH, Predictor
from tunesmith.run import EXPORTS

__all__ = ["Exported", "Form", "export"]

Form = Literal["onnx", "onnx-int8", "torch", "merged", "adapter"]
_PARITY = "parity.json"
_PLAIN: tuple[Form, ...] = ("torch", "merged")
_NEEDED = ("onnx", "onnxruntime", "onnxscript")
Write = Callable[[Path, Bundle, Predictor], Predictor]
_WRITE: dict[Form, Write] = {
    "onnx": write_exact,
    "onnx-int8": write_rounded,
    "torch": write_plain,
    "merged": write_plain,
    "adapter": write_adapter,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how alike it answers."""

    path: Path
    form: Form
    parity: Parity
    size_bytes: int
    source_bytes: int
    """What the source takes on disk"""


def export(
    model: str | Path,
    form: Form,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Exported:
    """Write the model of a run, or a bundle, in another form, and hold its answers against the source's.

    `onnx`, `onnx-int8` and `adapter` are bundles that tunesmith opens, the last one also a directory for
    PEFT; `torch`, also called `merged`, is a plain directory for transformers. `out` defaults to `exports/`
    and the form within the run. Answers are compared on the labelled rows of `data`, by default the run's
    validation rows, or without any its training rows. Raises ExportError where too many answers differ, and
    then nothing is written; DataError where there are no rows to compare; ConfigError where a package is
    missing.
    """
    listener = listener or Listener()
    bundle, run = find_bundle(model), Path(model)
    place = _place(run, form, out)
    refuse_existing(place, overwrite)
    _refuse_unfit(bundle, form)
    listener.stage("read")
    rows = compared_rows(run, bundle, data)
    source = bundle.predictor()
    with staged_directory(place, overwrite=overwrite) as directory:
        listener.stage("export")
        made = _WRITE[form](directory, bundle, source)
        listener.stage("parity")
        parity = compare_answers(source, made, rows, ROUNDED if form == "onnx-int8" else EXACT)
        write_json(directory / _PARITY, parity.to_dict())
        if form not in _PLAIN:
            complete_exported(directory, bundle, form, made)
    return Exported(place, form, parity, _size(place), _size(bundle.path))


def _place(run: Path, form: Form, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if not (run / "run.json").is_file():
        what = "the model is not in a run: there is no usual place for what is exported"
        raise ConfigError(Problem("no-place", what, str(run), "name one with --out"))
    return run / EXPORTS / form


def _refuse_unfit(bundle: Bundle, form: Form) -> None:
    if form not in _WRITE:
        fix = f"choose one of {', '.join(_WRITE)}"
        raise ConfigError(Problem("unknown-form", f"{form!r} is no form to export to", "--to", fix))
    if bundle.task.writes:
        what = "the model writes text, and only models that give labels are exported"
        fix = f"take {bundle.path} itself: it is a plain directory of transformers"
        raise ConfigError(Problem("another-kind", what, str(bundle.path), fix))
    if bundle.engine != TORCH:
        fix = "name the run it was exported from"
        what = f"this is an export already ({bundle.engine}), without the weights that another needs"
        raise ConfigError(Problem("no-weights", what, str(bundle.path), fix))
    if form.startswith("onnx"):
        require_onnx(*_NEEDED)
    elif form == "adapter":
        refuse_adapter(bundle)


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
