"""Training speed beside the tutorial's way and Trainer's best, in interleaved rounds; then accuracy.

    python -m benchmarks.train [--rounds 3] [--seeds 5] [--only 6x384/ag_news …]
    python -m benchmarks.train --gpu

With --gpu, a GPU's models beside Trainer's defaults, and results of their own. Writes
benchmarks/results/train.json or train_gpu.json and, between markers, the tables in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.contestants import TITLES
from benchmarks.machine import machine
from benchmarks.models import make_model
from benchmarks.same_accuracy import same_accuracy
from benchmarks.tables import write_table
from tunesmith.training.precision import bf16_in_hardware

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results"
console = Console()


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured on one kind of device."""

    name: str
    """Of the file of results"""
    table: str
    """The markers of the tables"""
    rows: dict[str, int]
    """model/data -> rows of one training"""
    contestants: tuple[str, ...]
    rivals: tuple[str, str]
    """The two that ratios are against"""


CPU = Suite(
    "train.json",
    "training",
    {"6x384/ag_news": 256, "6x384/bbc_news": 48, "6x768/ag_news": 128, "6x768/bbc_news": 24},
    ("tutorial", "dynamic", "grouped", "grouped-bf16", "tunesmith", "tunesmith-bf16"),
    ("tutorial", "grouped"),
)
GPU = Suite(
    "train_gpu.json",
    "training-gpu",
    {
        "gpt2-124m/ag_news": 4096,
        "gpt2-124m/bbc_news": 1024,
        "gpt-neo-1.3b/ag_news": 1024,
        "llama-1.3b/ag_news": 1024,
    },
    ("defaults", "grouped-bf16", "tunesmith-bf16"),
    ("defaults", "grouped-bf16"),
)


def one(contestant: str, **asked: Any) -> dict[str, Any]:
    """One training in a process of its own."""
    said = json.dumps({"contestant": contestant, **asked})
    command = [sys.executable, "-m", "benchmarks.one_training", said]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def rounds_of(suite: Suite, case: str, model: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Each contestant once a round, each round beginning with another."""
    data, contestants = case.split("/")[1], list(suite.contestants)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    asked = {"data": data, "model": str(model), "rows": suite.rows[case], "longest": 0}
    for number in range(rounds):
        for name in contestants[number % len(contestants) :] + contestants[: number % len(contestants)]:
            results[name].append(one(name, **asked, seed=number))
            speed = results[name][-1]["examples_per_second"]
            asked["longest"] = results[name][-1]["longest_tokens"]
            console.print(f"[dim]{case} round {number + 1} {name} {speed:.2f} examples/s[/]")
    return results


def summary(
    results: dict[str, list[dict[str, Any]]], peaks: dict[str, float], rivals: tuple[str, str]
) -> dict[str, Any]:
    """Medians over rounds; ratios are of the same round, and the peak that MFU is of is the process's mean.

    `mfu_of_best` is of the best peak of all processes of the case.
    """
    found = {}
    for name, rounds in results.items():
        peak = peaks["bf16" if name.endswith("bf16") else "fp32"]
        ratios = {
            rival: [
                mine["examples_per_second"] / theirs["examples_per_second"]
                for mine, theirs in zip(rounds, results[rival], strict=True)
            ]
            for rival in rivals
        }
        found[name] = {
            "examples_per_second": statistics.median(r["examples_per_second"] for r in rounds),
            **{f"times_{rival}": [statistics.median(of), *_ends(of)] for rival, of in ratios.items()},
            "mfu": statistics.median(r["operations_per_second"] / r["gemm_peak"] for r in rounds),
            "mfu_of_best": statistics.median(r["operations_per_second"] for r in rounds) / peak,
            "peak_memory_mib": statistics.median(r["peak_memory_mib"] for r in rounds),
        }
    return found


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def markdown(suite: Suite, saved: dict[str, Any]) -> str:
    """All cases as tables, each with its machine, and the accuracies below."""
    first, second = (TITLES[rival].split()[0] for rival in suite.rivals)
    lines = []
    # a processor's and another's stand side by side: what they multiply with is another thing
    each = [(case, kept) for case, kinds in saved["cases"].items() for kept in kinds.values()]
    for case, kept in each:
        facts = kept["rounds"][suite.rivals[0]][0]
        lines += [
            f"**{case}**: {facts['mean_tokens']:.0f} tokens a text, {facts['longest_tokens']} the longest",
            "",
            f"| way | examples/s | × {first} | × {second} | MFU | of the best | peak memory |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_line(name, row, suite.rivals) for name, row in kept["summary"].items()),
            "",
            _made_on(kept["machine"], len(kept["rounds"][suite.rivals[0]])),
            "",
        ]
    return "\n".join([*lines, *_accuracies(saved.get("accuracy"))]).rstrip("\n")


def _made_on(at: dict[str, Any], rounds: int) -> str:
    said = f"Medians of {rounds} rounds" if rounds > 1 else "One round"
    if at["device"] != "cpu":
        return f"{said}; {at['device']}, {at['date']}."
    return f"{said}; {at['cores']} cores ({_kind(at)}), {at['date']}."


def _line(name: str, row: dict[str, Any], rivals: tuple[str, str]) -> str:
    ratios = [f"{row[f'times_{rival}'][0]:.2f}" for rival in rivals]
    shares = [f"{row[kind]:.2f}" for kind in ("mfu", "mfu_of_best")]
    figures = [f"{row['examples_per_second']:.2f}", *ratios, *shares]
    return f"| {' | '.join([TITLES[name], *figures])} | {row['peak_memory_mib']:,.0f} MiB |"


def _accuracies(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    means = {name: statistics.mean(values) for name, values in found["accuracy"].items()}
    said = "; ".join(
        f"{TITLES[name]} {means[name]:.3f} (difference {low:+.3f} to {high:+.3f})"
        for name, (low, high) in found["difference_95"].items()
    )
    seeds = len(found["accuracy"]["grouped"])
    lead = f"Test accuracy after training on {found['rows']:,} rows of AG News, {seeds} seeds"
    return [f"{lead}, paired 95 % intervals: {TITLES['grouped']} {means['grouped']:.3f}; {said}."]


def main() -> None:
    """Measure what is asked for, save it beside what was measured before, and write the tables."""
    parser = argparse.ArgumentParser(description="Training speed beside the tutorial's way and Trainer's.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5, help="of the accuracies; 0: leave them")
    parser.add_argument("--only", nargs="*", choices=[*CPU.rows, *GPU.rows])
    parser.add_argument("--gpu", action="store_true", help="a GPU's models and rivals")
    parser.add_argument("--rehearse", action="store_true", help="tiny models, nothing is saved")
    asked = parser.parse_args()
    suite = GPU if asked.gpu else CPU
    if asked.rehearse:
        suite = replace(suite, rows={"2x64/ag_news": 32, "2x64/bbc_news": 8})
    elif asked.gpu and not torch.cuda.is_available():
        raise SystemExit("no CUDA GPU is here: --gpu --rehearse tries all but the speed")
    if not asked.gpu and not bf16_in_hardware():
        # emulated, it is slower than fp32, and nobody would choose it
        chosen = tuple(name for name in suite.contestants if not name.endswith("bf16"))
        suite = replace(suite, contestants=chosen)
    saved = _saved(suite)
    for case, measured in _cases(suite, asked.only or list(suite.rows), asked.rounds):
        saved["cases"].setdefault(case, {})[_kind(measured["machine"])] = measured
        _keep(suite, saved, write=not asked.rehearse)
    if asked.seeds and not asked.gpu:
        saved["accuracy"] = same_accuracy(asked.seeds, suite.contestants)
    _keep(suite, saved, write=not asked.rehearse)


def _kind(at: dict[str, Any]) -> str:
    return f"{at['processor']}, {at['capability']}" if at["device"] == "cpu" else at["device"]


def _saved(suite: Suite) -> dict[str, Any]:
    path = RESULTS / suite.name
    saved: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"cases": {}}
    return saved


def _cases(suite: Suite, cases: list[str], rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as place:
        models = {name: make_model(name, Path(place)) for name in {case.split("/")[0] for case in cases}}
        for case in cases:
            yield case, _measured(suite, case, models[case.split("/")[0]], rounds)


def _measured(suite: Suite, case: str, model: Path, rounds: int) -> dict[str, Any]:
    results = rounds_of(suite, case, model, rounds)
    kinds = {"bf16" if name.endswith("bf16") else "fp32" for name in results}
    peaks = {kind: max(_of_kind(results, kind)) for kind in sorted(kinds)}
    found = summary(results, peaks, suite.rivals)
    return {"machine": machine(), "summary": found, "gemm_peaks": peaks, "rounds": results}


def _keep(suite: Suite, saved: dict[str, Any], *, write: bool) -> None:
    saved["cases"] = {case: saved["cases"][case] for case in suite.rows if case in saved["cases"]}
    table = markdown(suite, saved)
    if write:
        (RESULTS / suite.name).write_text(json.dumps(saved, indent=1) + "\n")
        write_table("docs/performance.md", suite.table, table)


def _of_kind(results: dict[str, list[dict[str, Any]]], kind: str) -> list[float]:
    chosen = [name for name in results if name.endswith("bf16") == (kind == "bf16")]
    return [row.get("gemm_peak_best", row["gemm_peak"]) for name in chosen for row in results[name]]


if __name__ == "__main__":
    main()
