"""What a training run leaves on disk: at which moment it was killed, and whether two runs end alike."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from tunesmith.files import sha256_bytes, sha256_file

__all__ = ["differing", "keep_final", "lasting", "staged", "where_killed"]

# these tell what a run cost in time, which no two runs agree on; the manifest has their hashes
_TIMED = ("report.json", "README.md", "manifest.json")


def staged(out: Path) -> set[str]:
    """The names under which checkpoints are being written."""
    try:
        names = [path.name for path in (out / "checkpoints").iterdir()]
    except OSError:
        return set()
    return {name for name in names if name.endswith((".tmp", ".old"))}


def where_killed(out: Path) -> str:
    """What a run was at, judged by what it left."""
    if staged(out):
        return "inside a checkpoint save"
    if not (out / "run.json").exists():
        return "before it began"
    if (out / "metrics.jsonl").exists():
        return "after the last step"
    return "in training, outside a save"


def keep_final(out: Path, last_step: int) -> None:
    """Link the last step's checkpoint beside the run, which drops it when it is done."""
    kept, final = _final(out), out / "checkpoints" / f"step-{last_step:08d}"
    if final.exists() and not kept.exists():
        shutil.copytree(final, kept, copy_function=os.link)


def _final(out: Path) -> Path:
    return out.with_name(f"{out.name}.final")


def lasting(out: Path) -> dict[str, str]:
    """name -> SHA-256 of what must not depend on kills: the bundle, the measurements, and of the last
    checkpoint weights, moments and state, this without the seconds that training took.
    """
    bundle = [path for path in (out / "model").glob("*") if path.name not in _TIMED]
    files = [out / "metrics.jsonl", *bundle, *_final(out).glob("*.safetensors")]
    hashes = {f"{path.parent.suffix}{path.name}": sha256_file(path) for path in files if path.exists()}
    state_file = _final(out) / "state.json"
    if state_file.exists():
        state = json.loads(state_file.read_text())
        del state["seconds"]
        hashes[".finalstate"] = sha256_bytes(json.dumps(state, sort_keys=True).encode())
    return hashes


def differing(whole: dict[str, str], found: dict[str, str]) -> list[str]:
    """The names whose hashes are not the same."""
    return sorted(name for name in {*whole, *found} if whole.get(name) != found.get(name))
