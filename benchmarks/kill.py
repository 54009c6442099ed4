"""A training killed at random moments, many of them inside a save, ends as one that nobody touched.

    python -m benchmarks.kill [--kills 200] [--inside-saves 0.5] [--seconds 600] [--out FILE]

`tunesmith train` runs in forked children of one process that has imported torch and started no thread. Each
is killed by SIGKILL and gone on from with --resume; when one comes to its end, all that lasts of it is compared
with an uninterrupted run and a new one begins. Writes benchmarks/results/kill.json.
"""

from __future__ import annotations

import os

# before torch is imported: a process with threads must not fork
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from tunesmith.files import sha256_bytes, sha256_file

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "kill.json"
OPTIONS = ("--epochs", "8", "--set", "batch_tokens=45", "--set", "early_stopping=0")
# evaluations choose the best weights at nearly every epoch: two saves an epoch
SAVES_AHEAD = 8
console = Console()


@dataclass(slots=True)
class Sequence:
    """One directory after the other, each trained to its end through kills."""

    place: Path
    chance: random.Random
    inside_share: float
    whole: dict[str, str]
    seconds: float
    """How long an uninterrupted run takes"""
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    kills_of_run: list[int] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run_to_end(self, kills_left: int) -> None:
        """Train anew, killed at most `kills_left` times, and compare what is left."""
        out, before = self.place / f"run-{self.runs}", self.kills.total()
        while True:
            is_last = self.kills.total() - before >= kills_left
            code = self._child(out, kill=not is_last)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                self.faults.append(f"{out.name}: exit {code}: {(self.place / 'log').read_text()[-2000:]}")
                break
        found = lasting(out, self.place / f"{out.name}.final")
        self.differences += [f"{out.name}/{name}" for name in differing(self.whole, found)]
        self.kills_of_run.append(self.kills.total() - before)
        self.runs += 1
        shutil.rmtree(out, ignore_errors=True)

    def _child(self, out: Path, *, kill: bool) -> int:
        inside = self.chance.random() < self.inside_share
        saves, delay = self.chance.randint(1, SAVES_AHEAD), self.chance.random() * self.seconds
        child = train(self.place, out)
        began, seen = time.monotonic(), set[str]()
        while (code := ended(child)) is None:
            keep_final(out)
            orphans = staged(out)
            seen |= orphans
            if kill and (
                bool(orphans) and len(seen) >= saves if inside else time.monotonic() - began > delay
            ):
                os.kill(child, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                break
        if code == -signal.SIGKILL:
            self.kills[where_killed(out)] += 1
        return code


def staged(out: Path) -> set[str]:
    """The names under which a checkpoint is being written."""
    try:
        names = os.listdir(out / "checkpoints")
    except OSError:
        return set()
    return {name for name in names if name.endswith((".tmp", ".old"))}


def where_killed(out: Path) -> str:
    """What the run was at, judged by what it left."""
    if staged(out):
        return "inside a checkpoint save"
    if not (out / "run.json").exists():
        return "before the first step"
    if (out / "metrics.jsonl").exists():
        return "after the last step"
    return "in training, outside a save"


def train(place: Path, out: Path) -> int:
    """Fork a child that is `tunesmith train`, with --resume where something was begun; returns its id."""
    child = os.fork()
    if child:
        return child
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resume = ["--resume"] if (out / "run.json").exists() else []
    sys.argv = ["tunesmith", "train", str(place / "news.jsonl"), "--base", str(place / "base")]
    sys.argv += ["--out", str(out), *OPTIONS, *resume]
    _tunesmith()


def _tunesmith() -> NoReturn:
    from tunesmith.cli.main import main as tunesmith

    code = 1
    try:
        tunesmith()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int | None:
    """The exit status of a child, negative for a signal, or None while it runs."""
    found, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def keep_final(out: Path) -> None:
    """Link the last step's checkpoint beside the run, which drops it when it is done."""
    kept = out.with_name(f"{out.name}.final")
    about = out / "checkpoints" / f"step-{LAST_STEP:08d}"
    if LAST_STEP and not kept.exists() and about.exists():
        shutil.copytree(about, kept, copy_function=os.link)


LAST_STEP = 0
"""Steps of a whole run; known after the first."""


def lasting(out: Path, final: Path) -> dict[str, str]:
    """name -> SHA-256 of all that must not depend on kills; of the state, all but the seconds it took."""
    files = [out / "metrics.jsonl", *sorted((out / "model").glob("*")), *sorted(final.glob("*.safetensors"))]
    # they tell what it cost, which no two runs agree on
    timed = {"report.json", "README.md", "manifest.json"}
    found = {
        f"{path.parent.name.split('.')[-1]}/{path.name}": path for path in files if path.name not in timed
    }
    hashes = {name.replace(out.name, ""): sha256_file(path) for name, path in found.items() if path.exists()}
    state = json.loads((final / "state.json").read_text()) if final.exists() else {}
    state.pop("seconds", None)
    return hashes | {"final/state": sha256_bytes(json.dumps(state, sort_keys=True).encode())}


def differing(whole: dict[str, str], found: dict[str, str]) -> list[str]:
    """The names whose hashes are not the same."""
    return sorted(name for name in {*whole, *found} if whole.get(name) != found.get(name))


def uninterrupted(place: Path, name: str) -> tuple[dict[str, str], float]:
    """What a run that nobody kills comes to, and how long it takes."""
    out, began = place / name, time.monotonic()
    child = train(place, out)
    while (code := ended(child)) is None:
        keep_final(out)
    if code:
        raise SystemExit((place / "log").read_text())
    return lasting(out, place / f"{name}.final"), time.monotonic() - began


def make_inputs(place: Path) -> None:
    """A tiny base and rows for it; written by a child, so that this process starts no thread."""
    child = os.fork()
    if not child:
        from tests.models import POLITICS, SPORTS, save_tiny_base

        save_tiny_base(place / "base")
        texts = {"sports": SPORTS, "politics": POLITICS}
        rows = [
            {"text": f"{text} in round {number}", "label": label}
            for number in range(10)
            for label in texts
            for text in texts[label]
        ]
        (place / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the inputs could not be made")


def import_heavy() -> None:
    """Import what the children need, once."""
    import accelerate
    import sklearn.linear_model
    import torch
    import transformers

    import tunesmith.cli.train
    import tunesmith.pipeline

    assert accelerate and sklearn and torch and transformers and tunesmith.pipeline and tunesmith.cli.train
    threads = len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else 1
    assert threads == 1, f"{threads} threads: forking would not be safe"


def last_step(place: Path) -> int:
    """The steps of a whole run, of which metrics.jsonl has the last."""
    return int(json.loads((place / "first" / "metrics.jsonl").read_text().splitlines()[-1])["step"])


def measure(place: Path, asked: argparse.Namespace) -> Sequence:
    """Kill until the number or the time is reached, and let the last run come to its end."""
    global LAST_STEP
    make_inputs(place)
    uninterrupted(place, "first")
    LAST_STEP = last_step(place)
    whole, seconds = uninterrupted(place, "whole")
    again, _ = uninterrupted(place, "again")
    assert not differing(whole, again), f"two whole runs differ: {differing(whole, again)}"
    assert len([name for name in whole if name.startswith("final/")]) >= 3, sorted(whole)
    sequence = Sequence(place, random.Random(asked.seed), asked.inside_saves, whole, seconds)
    until = time.monotonic() + asked.seconds
    while sequence.kills.total() < asked.kills and time.monotonic() < until:
        sequence.run_to_end(min(asked.kills - sequence.kills.total(), asked.kills_a_run))
        console.print(f"[dim]{sequence.kills.total()} kills, {sequence.runs} runs[/]")
    return sequence


def show(found: dict[str, Any]) -> None:
    """Print the summary."""
    table = Table("moment of the kill", "kills", title="tunesmith train under SIGKILL")
    for moment, count in found["moments"].items():
        table.add_row(moment, str(count))
    table.add_section()
    for name in ("kills", "runs_finished", "compared_files_a_run", "differing_files", "faults"):
        value = found[name]
        table.add_row(name.replace("_", " "), str(len(value) if isinstance(value, list) else value))
    console.print(table)
    for line in (*found["differing_files"], *found["faults"]):
        console.print(line, markup=False)


def main() -> None:
    """Measure, print and save; exit 1 where a run ended otherwise than the uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--inside-saves", type=float, default=0.5, help="the share aimed at saves")
    parser.add_argument("--kills-a-run", type=int, default=10, help="then a run is let go to its end")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no run after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    import_heavy()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        sequence = measure(Path(place), asked)
    found = {
        "kills": sequence.kills.total(),
        "moments": dict(sequence.kills.most_common()),
        "runs_finished": sequence.runs,
        "kills_of_each_run": sequence.kills_of_run,
        "steps_a_run": LAST_STEP,
        "compared_files_a_run": len(sequence.whole),
        "differing_files": sequence.differences,
        "faults": sequence.faults,
        "seconds": round(time.monotonic() - began, 1),
        "seed": asked.seed,
    }
    show(found)
    asked.out.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    raise SystemExit(bool(sequence.differences or sequence.faults))


if __name__ == "__main__":
    main()
