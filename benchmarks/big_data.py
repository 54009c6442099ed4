"""Memory and time of training on data of any size, stage by stage: memory should hardly grow with the rows.

    python -m benchmarks.big_data [--rows 100_000 1_000_000] [--words 40] [--steps 5] [--kind completion]

Makes news-like rows, trains the embedded base on them for a few steps in a process of its own, first with an
empty cache and then with what the first run left there: to give labels, or to write them. Writes
benchmarks/results/big_data.json and, between its markers, the table in docs/performance.md. 10,000,000 rows
need 15 GB of disk and hours of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine
from benchmarks.news import WORDS, write_news
from benchmarks.tables import ROOT, write_table
from tunesmith.task import Kind
from tunesmith.training.memory import peak_memory_bytes

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "big_data.json"
STAGES = ("read", "check", "tokenise", "train")
console = Console()


def peak_bytes(*, reset: bool = False) -> int:
    """The most resident memory since the last reset; since the start where the system has no reset."""
    peak, clear = peak_memory_bytes(), Path("/proc/self/clear_refs")
    if reset and clear.exists():
        clear.write_text("5")
    return peak


def train_a_little(data: str, out: str, steps: int, kind: Kind) -> dict[str, dict[str, float]]:
    """Train until some steps are done; stage -> seconds and the most memory held."""
    import tunesmith
    from tunesmith.training.state import Interrupted, Progress

    class Watch(tunesmith.Listener):
        def __init__(self) -> None:
            self.found: dict[str, dict[str, float]] = {}
            self.current, self.began, self.steps = "import", time.perf_counter(), 0
            # what every process pays, whatever the data
            import sklearn.linear_model  # noqa: F401
            import torch  # noqa: F401
            import transformers  # noqa: F401

        def stage(self, name: str) -> None:
            seconds = time.perf_counter() - self.began
            self.found[self.current] = {"seconds": seconds, "peak_bytes": peak_bytes(reset=True)}
            self.current, self.began = name, time.perf_counter()

        def training(self, progress: Progress) -> None:
            self.steps = progress.step

    watch = Watch()
    try:
        tunesmith.train(data, kind=kind, out=out, listener=watch, should_stop=lambda: watch.steps >= steps)
    except Interrupted:
        watch.stage("end")
    return watch.found


def in_a_process(data: Path, out: Path, cache: Path, steps: int, kind: Kind) -> dict[str, dict[str, float]]:
    """The same in a process of its own, with one thread."""
    command = [sys.executable, "-m", "benchmarks.big_data", "--child", str(data), str(out), str(steps), kind]
    variables = {
        **os.environ,
        "TUNESMITH_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(rows: int, words: int, steps: int, kind: Kind) -> dict[str, Any]:
    """What one size costs, with an empty cache and with a filled one."""
    with tempfile.TemporaryDirectory() as place:
        data, cache = Path(place) / "news.csv", Path(place) / "cache"
        size = write_news(data, rows, words)
        runs = {
            name: in_a_process(data, Path(place) / name, cache, steps, kind) for name in ("first", "again")
        }
        kept = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    for name, stages in runs.items():
        for stage, found in stages.items():
            peak = found["peak_bytes"] / 2**20
            console.print(f"{rows:>12,} rows {name:>6} {stage:>9} {found['seconds']:8.1f} s {peak:8.0f} MiB")
    return {"rows": rows, "kind": kind, "words": words, "bytes": size, "cache_bytes": kept, **runs}


def markdown(saved: dict[str, Any]) -> str:
    """Sizes as rows, the most memory and the seconds of each stage as columns."""
    lines = [
        f"| rows | task | words | data | cache | {' | '.join(STAGES)} | again |",
        f"| --- | --- | --- | --- | --- | {' | '.join('---' for _ in STAGES)} | --- |",
    ]
    for found in saved["sizes"].values():
        stages = [_cell([found["first"][stage]]) for stage in STAGES]
        again = _cell([found["again"][stage] for stage in STAGES])
        sizes = [f"{found[name] / 2**20:,.0f} MiB" for name in ("bytes", "cache_bytes")]
        about = [f"{found['rows']:,}", found["kind"].replace("_", "-"), str(found["words"])]
        lines.append(f"| {' | '.join([*about, *sizes, *stages, again])} |")
    at = saved["machine"]
    lines += ["", f"One thread; {at['cores']} cores ({at['processor']}), {at['date']}."]
    return "\n".join(lines)


def _order(found: dict[str, Any]) -> tuple[bool, int]:
    return found["kind"] != "single_label", found["rows"]


def _cell(stages: list[dict[str, float]]) -> str:
    peak = max(stage["peak_bytes"] for stage in stages) / 2**20
    return f"{peak:,.0f} MiB, {sum(stage['seconds'] for stage in stages):,.0f} s"


def main() -> None:
    """Measure the sizes that are asked for, beside those measured before."""
    parser = argparse.ArgumentParser(description="Memory and time of training on data of any size.")
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--words", type=int, default=WORDS, help="of a text, on average")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--kind", choices=["single_label", "completion"], default="single_label")
    parser.add_argument("--child", nargs=4, metavar=("DATA", "OUT", "STEPS", "KIND"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        data, out, steps, kind = asked.child
        print(json.dumps(train_a_little(data, out, int(steps), kind)))
        return
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sizes": {}}
    for rows in asked.rows:
        saved["machine"] = machine()
        found = measured(rows, asked.words, asked.steps, asked.kind)
        saved["sizes"][f"{rows}/{asked.kind}"] = found
        saved["sizes"] = dict(sorted(saved["sizes"].items(), key=lambda size: _order(size[1])))
        RESULTS.write_text(json.dumps(saved, indent=1) + "\n")
        write_table("docs/performance.md", "big-data", markdown(saved))


if __name__ == "__main__":
    main()
