"""What adapters of one base take in memory when they are served, and how long one takes to answer.

    python -m benchmarks.adapters [--width 768] [--blocks 12] [--models 4] [--rank 16] [--rounds 15]
        [--out FILE]

The base is a GPT-2 of that size with random weights, and what each run of LoRA has learned is random, too:
what they answer does not matter to how much they take. Every count of models, with merged weights and apart,
is loaded as the server does, in a process of its own, and answers once; what counts is by how much the memory
that is the process's alone has grown. What answering takes of the processor, over all its threads, is
measured in one process, in interleaved rounds, of which the median counts. Writes what belongs to this size
into benchmarks/results/adapters.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console

from benchmarks.machine import machine

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "adapters.json"
LABELS = ("negative", "positive")
WAYS = {"merged": "model", "apart": "exports/adapter"}
TEXT = "The striker scored twice in the last minutes of a match that the visitors had led since the morning."
BATCHES = (1, 16)
console = Console()


def write_base(place: Path, width: int, blocks: int) -> Path:
    """A GPT-2 without training, with the tokenizer of the embedded base."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from tunesmith.model.load import embedded_base, load_reader, quiet_transformers

    tokenizer = load_reader(str(embedded_base())).tokenizer
    shape = {"n_embd": width, "n_layer": blocks, "n_head": max(1, width // 64), "vocab_size": len(tokenizer)}
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model("gpt2", **shape, **ends)
    torch.manual_seed(0)
    with quiet_transformers():
        AutoModelForCausalLM.from_config(config).save_pretrained(place)  # type: ignore[no-untyped-call]
        tokenizer.save_pretrained(place)
    return place


def write_run(place: Path, base: Path, rank: int, seed: int, data: Path) -> None:
    """A run that has learned at random, and its adapter."""
    import tunesmith as ts
    from tunesmith.bundle import write_bundle
    from tunesmith.files import write_json
    from tunesmith.model.layers import linear_layers
    from tunesmith.model.load import load_classifier

    classifier = load_classifier(str(base), LABELS, seed=seed)
    with torch.no_grad():
        for name in linear_layers(classifier.model):
            weight = classifier.model.get_submodule(name).weight
            weight += torch.randn(weight.shape[0], rank) @ torch.randn(rank, weight.shape[1]) / 1000
    task, recipe = ts.Task(labels=LABELS), ts.Recipe(base=str(base), method="lora", lora_rank=rank)
    score = {"macro_f1": 0.5, "accuracy": 0.5}
    report = {"rows": 2, "metrics": score, "intervals": {name: {"low": 0, "high": 1} for name in score}}
    path = place / "model"
    write_bundle(path, classifier, task=task, recipe=recipe, report=report, data_report={}, card="")
    write_json(place / "run.json", {})
    ts.export(place, "adapter", data=data)


def memory(paths: list[str]) -> float:
    """MiB that loading and answering with these models adds to what this process holds alone."""
    from tunesmith.api.loading import Loader

    loader, process = Loader(), psutil.Process()
    # what importing takes is not theirs
    from transformers import GPT2ForSequenceClassification  # noqa: F401

    import tunesmith.model.adapter  # noqa: F401

    before = process.memory_full_info().uss
    loaded = [loader.load(Path(path), f"model-{number}") for number, path in enumerate(paths)]
    for each in loaded:
        each.answers.answer(each.answers.encode([TEXT]))
    return round((process.memory_full_info().uss - before) / 2**20, 1)


def latencies(paths: dict[str, str], rounds: int) -> dict[str, dict[int, float]]:
    """Median milliseconds of the processor that a batch of texts takes, each way."""
    from tunesmith.bundle import open_bundle

    opened = {way: open_bundle(Path(path)).predictor() for way, path in paths.items()}
    taken: dict[str, dict[int, list[float]]] = {way: {size: [] for size in BATCHES} for way in opened}
    for _ in range(rounds + 1):
        for way, predictor in opened.items():
            for size in BATCHES:
                encoded = predictor.encode([TEXT] * size)
                began = time.process_time()
                predictor.logits(encoded)
                taken[way][size].append(1000 * (time.process_time() - began))
    # the first round warms up
    return {
        way: {size: round(statistics.median(of[1:]), 2) for size, of in sizes.items()}
        for way, sizes in taken.items()
    }


def in_a_process(*words: str) -> Any:
    """What this module prints as JSON when it is started with these words."""
    command = [sys.executable, "-m", "benchmarks.adapters", *words]
    return json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def measured(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """All figures."""
    data = place / "rows.jsonl"
    rows = [{"text": f"{TEXT} {number}", "label": LABELS[number % 2]} for number in range(8)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = write_base(place / "base", arguments.width, arguments.blocks)
    runs = [place / f"run-{number}" for number in range(arguments.models)]
    for seed, run in enumerate(runs):
        write_run(run, base, arguments.rank, seed, data)
    figures: dict[str, Any] = {"mib": {}}
    for way, directory in WAYS.items():
        counts = sorted({1, 2, arguments.models})
        figures["mib"][way] = {
            count: in_a_process("--load", *(str(run / directory) for run in runs[:count])) for count in counts
        }
    paths = [str(runs[0] / directory) for directory in WAYS.values()]
    figures["processor_milliseconds"] = in_a_process("--rounds", str(arguments.rounds), "--answer", *paths)
    figures["bytes"] = {
        way: sum(file.stat().st_size for file in (runs[0] / directory).iterdir())
        for way, directory in WAYS.items()
    }
    return figures


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--load", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--answer", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(memory(arguments.load)))
    elif arguments.answer:
        print(json.dumps(latencies(dict(zip(WAYS, arguments.answer, strict=True)), arguments.rounds)))
    else:
        with tempfile.TemporaryDirectory() as place:
            figures = measured(arguments, Path(place))
        asked = {name: getattr(arguments, name) for name in ("models", "rank", "rounds")}
        known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        size = f"{arguments.blocks}x{arguments.width}"
        known[size] = {"machine": machine(), "asked": asked, **figures}
        arguments.out.write_text(json.dumps(known, indent=2) + "\n")
        console.print_json(data=figures)


if __name__ == "__main__":
    main()
