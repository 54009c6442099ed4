"""Training speed beside the tutorial's way and Trainer's best, in interleaved rounds; then accuracy.

    python -m benchmarks.train [--rounds 3] [--seeds 5] [--only 6x384/ag_news …]

Models have random weights and tokenizers of their own, made here. Writes benchmarks/results/train.json and,
between its markers, the tables in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.contestants import TITLES
from benchmarks.machine import machine
from benchmarks.one_training import SHARED, gemm_peak, rows_of
from benchmarks.same_accuracy import same_accuracy
from benchmarks.tables import write_table

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "train.json"
CORPUS = SHARED.parent / "corpus" / "gutenberg-en.txt.zst"
# layers, width, heads, vocabulary
MODELS = {"6x384": (6, 384, 6, 16_384), "6x768": (6, 768, 12, 50_257)}
ROWS = {"6x384/ag_news": 256, "6x384/bbc_news": 48, "6x768/ag_news": 128, "6x768/bbc_news": 24}
console = Console()


def make_model(name: str, directory: Path) -> Path:
    """A GPT-2 with random weights and a byte-level BPE of its vocabulary, as a hub model lies on disk."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from tunesmith.pretraining.corpus import documents, train_tokenizer

    layers, width, heads, vocabulary = MODELS[name]
    texts = [text for data in ("ag_news", "bbc_news") for text in rows_of(data, "train", 10**6).texts]
    texts += [text for text, _ in zip(documents(CORPUS), range(20_000), strict=False)]
    tokenizer = train_tokenizer(iter(texts), vocabulary, 1024)
    torch.manual_seed(0)
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=1024, n_embd=width, n_layer=layers, n_head=heads, **special
    )
    GPT2LMHeadModel(config).save_pretrained(directory / name)
    tokenizer.save_pretrained(directory / name)
    return directory / name


def one(contestant: str, data: str, model: Path, rows: int, seed: int) -> dict[str, Any]:
    """One training in a process of its own."""
    asked = {"contestant": contestant, "data": data, "model": str(model), "rows": rows, "seed": seed}
    command = [sys.executable, "-m", "benchmarks.one_training", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def rounds_of(case: str, model: Path, contestants: list[str], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Each contestant once a round, each round beginning with another."""
    data = case.split("/")[1]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in contestants[number % len(contestants) :] + contestants[: number % len(contestants)]:
            results[name].append(one(name, data, model, ROWS[case], number))
            speed = results[name][-1]["examples_per_second"]
            console.print(f"[dim]{case} round {number + 1} {name} {speed:.2f} examples/s[/]")
    return results


def summary(results: dict[str, list[dict[str, Any]]], peaks: dict[str, float]) -> dict[str, Any]:
    """Medians over rounds; ratios are of the same round."""
    found = {}
    for name, rounds in results.items():
        peak = peaks["bf16" if name.endswith("bf16") else "fp32"]
        ratios = {
            rival: [
                mine["examples_per_second"] / theirs["examples_per_second"]
                for mine, theirs in zip(rounds, results[rival], strict=True)
            ]
            for rival in ("tutorial", "grouped")
        }
        found[name] = {
            "examples_per_second": statistics.median(r["examples_per_second"] for r in rounds),
            "times_tutorial": [statistics.median(ratios["tutorial"]), *_ends(ratios["tutorial"])],
            "times_grouped": [statistics.median(ratios["grouped"]), *_ends(ratios["grouped"])],
            "mfu": statistics.median(r["operations_per_second"] for r in rounds) / peak,
            "peak_memory_mib": statistics.median(r["peak_memory_mib"] for r in rounds),
        }
    return found


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def markdown(saved: dict[str, Any]) -> str:
    """All cases as tables, the machine and the accuracies below."""
    lines = []
    for case, kept in saved["cases"].items():
        facts = kept["rounds"]["tutorial"][0]
        lines += [
            f"**{case}**: {facts['mean_tokens']:.0f} tokens a text, {facts['longest_tokens']} the longest",
            "",
            "| way | examples/s | × (a) | × (c) | MFU | peak memory |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_line(name, row) for name, row in kept["summary"].items()),
            "",
        ]
    at, cases = saved["machine"], len(next(iter(saved["cases"].values()))["rounds"]["tutorial"])
    rounds = f"Medians of {cases} rounds" if cases > 1 else "One round"
    lines.append(f"{rounds}; {at['cores']} cores ({at['processor']}), {at['date']}.")
    return "\n".join([*lines, *_accuracies(saved.get("accuracy"))])


def _line(name: str, row: dict[str, Any]) -> str:
    ratios = [f"{middle:.2f}" for middle, _, _ in (row["times_tutorial"], row["times_grouped"])]
    figures = [f"{row['examples_per_second']:.2f}", *ratios, f"{row['mfu']:.2f}"]
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
    return ["", f"{lead}, paired 95 % intervals: {TITLES['grouped']} {means['grouped']:.3f}; {said}."]


def main() -> None:
    """Measure what is asked for, save it beside what was measured before, and write the tables."""
    parser = argparse.ArgumentParser(description="Training speed beside the tutorial's way and Trainer's.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5, help="of the accuracies; 0: leave them")
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    asked = parser.parse_args()
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    saved["machine"] = machine()
    with tempfile.TemporaryDirectory() as place:
        names = {case.split("/")[0] for case in asked.only}
        models = {name: make_model(name, Path(place)) for name in names}
        for case in asked.only:
            saved["cases"][case] = _measured(case, models[case.split("/")[0]], asked.rounds)
            _keep(saved)
    if asked.seeds:
        saved["accuracy"] = same_accuracy(asked.seeds)
    _keep(saved)


def _measured(case: str, model: Path, rounds: int) -> dict[str, Any]:
    results = rounds_of(case, model, list(TITLES), rounds)
    width = MODELS[case.split("/")[0]][1]
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    peaks = {kind: max(gemm_peak(width, dtype), *_of_kind(results, kind)) for kind, dtype in kinds.items()}
    return {"summary": summary(results, peaks), "gemm_peaks": peaks, "rounds": results}


def _keep(saved: dict[str, Any]) -> None:
    saved["cases"] = {case: saved["cases"][case] for case in ROWS if case in saved["cases"]}
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n")
    if saved["cases"]:
        write_table("docs/performance.md", "training", markdown(saved))


def _of_kind(results: dict[str, list[dict[str, Any]]], kind: str) -> list[float]:
    chosen = [name for name in results if name.endswith("bf16") == (kind == "bf16")]
    return [row["gemm_peak"] for name in chosen for row in results[name]]


if __name__ == "__main__":
    main()
