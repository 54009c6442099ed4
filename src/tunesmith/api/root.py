"""The directory whose models may be loaded while the server runs, and what a caller's path means there."""

from __future__ import annotations

from pathlib import Path

from tunesmith.api.refusal import Refusal
from tunesmith.bundle import ADAPTER
from tunesmith.errors import Problem, ServiceError
from tunesmith.run import EXPORTS

__all__ = ["check_root", "place_of", "weights_bytes"]

# a graph's own large weights lie beside it
_WEIGHTS = frozenset({".safetensors", ".onnx", ".data"})


def check_root(root: Path) -> None:
    """Raise ServiceError where models could never be loaded from there."""
    if not root.is_dir():
        fix = "name a directory of runs with --model-root, or leave it out"
        raise ServiceError(Problem("no-model-root", "this is no directory", str(root), fix))


def place_of(path: str, root: Path) -> Path:
    """Where the model at `path` is, below `root`; raise Refusal where it would lead out of there."""
    asked = Path(path)
    if "\0" in path or asked.is_absolute() or ".." in asked.parts:
        raise _bad_path("is no path below the model root; write one such as `news` or `runs/news`")
    try:
        return _found(asked, root.resolve())
    except (OSError, RuntimeError):  # too long a name, a closed directory, a link to itself
        raise _bad_path("cannot be read") from None


def _found(asked: Path, root: Path) -> Path:
    place = (root / asked).resolve()
    if not place.is_relative_to(root):
        raise _bad_path("leads out of the model root")
    if not place.is_dir():
        raise _bad_path("is no directory below the model root")
    if not all(entry.resolve().is_relative_to(root) for entry in _entries(place)):
        raise _bad_path("holds a link that leads out of the model root")
    return place


def weights_bytes(place: Path) -> int:
    """What the weights of the run or bundle at `place`, and of exports that may be served, take on disk."""
    return sum(entry.stat().st_size for entry in _entries(place) if entry.suffix in _WEIGHTS)


def _entries(place: Path) -> list[Path]:
    """All that is read of a bundle, or of a run's bundle and exports: none is nested deeper."""
    exports = place / EXPORTS
    read = [place, place / "model", *exports.glob("onnx*"), exports / ADAPTER]
    return [entry for directory in read if directory.is_dir() for entry in directory.iterdir()]


def _bad_path(what: str) -> Refusal:
    return Refusal("bad-model-path", f"`path` {what}", param="path")
