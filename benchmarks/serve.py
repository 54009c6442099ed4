"""Serving beside what most people deploy: latency, throughput, overload, memory and start.

    python -m benchmarks.serve [--rounds 3] [--seconds 10] [--only 6x384/short …]

Servers of one model stand side by side and are asked in turns; what is not asked does nothing. Writes
benchmarks/results/serve.json and, between its markers, the tables in docs/serving.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from tests.listening import free_port

import tunesmith as ts
from benchmarks.ceiling import best_speeds, operations
from benchmarks.load import Load, at_a_rate, by_clients, milliseconds
from benchmarks.machine import machine
from benchmarks.models import make_model
from benchmarks.one_training import rows_of
from benchmarks.tables import ROOT, write_table
from tunesmith.data.write import write_dataset
from tunesmith.model.base import reader_at
from tunesmith.model.encode import encode

__all__ = ["main", "table"]

RESULT = ROOT / "benchmarks" / "results" / "serve.json"
PAGE = "docs/serving.md"
PIPELINE, ENGINES = "pipeline", ("torch", "onnx", "onnx-int8")
DATA = {"short": "ag_news", "long": "bbc_news"}
CASES = ("6x384/short", "6x384/long", "6x768/short", "6x768/long")
CLIENTS = (1, 8, 64)
OVERLOAD = 4
TRAINED_ROWS, MAX_TOKENS = 400, 512
TEXTS = 256
STARTS_WITHIN = 120
console = Console()


@dataclass(frozen=True)
class Server:
    """One contestant at work."""

    name: str
    port: int
    process: psutil.Process
    first_answer: float
    """Seconds from its start"""


def trained(name: str, place: Path) -> Path:
    """A run of the model that was trained on some rows for some steps, and its exports."""
    if (place / "run").exists():
        return place / "run"
    place.mkdir()
    base = make_model(name, place / "base")
    data = place / "train.jsonl"
    write_dataset(data, rows_of("ag_news", "train", TRAINED_ROWS))
    # enough that answers to these rows are no guesses, which 8 bits would turn around
    recipe = ts.Recipe(
        base=str(base),
        method="full",
        epochs=3,
        learning_rate=5e-4,
        early_stopping=0,
        validation_fraction=0.1,
        rival_seconds=0,
        max_tokens=MAX_TOKENS,
    )
    run = ts.train(data, recipe=recipe, out=place / "run").directory
    for form in ("onnx", "onnx-int8"):
        try:
            made = ts.export(run, form, data=data)
        except ts.UserError as error:
            console.print(f"[yellow]{name} has no {form}[/]: {error.problems[0].what}")
        else:
            console.print(f"[dim]{name} {form}: {made.parity.agreement:.2%} alike, {made.size_bytes:,} bytes")
    return run


@contextmanager
def serving(name: str, run: Path) -> Iterator[Server]:
    """Start a contestant and wait for its first answer."""
    port = free_port()
    if name == PIPELINE:
        command = [sys.executable, "-m", "benchmarks.pipeline_server", str(run / "model"), str(port)]
    else:
        command = [
            *(sys.executable, "-m", "tunesmith", "serve", str(run)),
            *("--engine", name, "--port", str(port)),
        ]
    environ = {**os.environ, "TUNESMITH_MAX_WAITING": str(max(CLIENTS))}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environ, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield Server(name, port, psutil.Process(process.pid), _first_answer(port, began))
    finally:
        process.terminate()
        process.wait(60)


def _first_answer(port: int, began: float) -> float:
    body = json.dumps({"input": "warm up"}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/classify", body, {"Content-Type": "application/json"}
    )
    while time.perf_counter() - began < STARTS_WITHIN:
        try:
            urllib.request.urlopen(request, timeout=30).read()
        except OSError:
            time.sleep(0.05)
        else:
            return time.perf_counter() - began
    raise SystemExit(f"the server on port {port} has not answered")


def measured(case: str, rounds: int, seconds: float, place: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """All contestants on one model and one kind of text, and what none can exceed."""
    name, kind = case.split("/")
    run = trained(name, place / name)
    texts = rows_of(DATA[kind], "test", TEXTS).texts
    with ExitStack() as stack:
        there = [PIPELINE, "torch", *(form for form in ENGINES if (run / "exports" / form).is_dir())]
        servers = [stack.enter_context(serving(each, run)) for each in there]
        found: dict[str, dict[str, list[Any]]] = {server.name: {} for server in servers}
        for number in range(rounds):
            for server in servers:
                for what, value in _asked(server, texts, seconds):
                    found[server.name].setdefault(what, []).append(value)
                console.print(f"[dim]{case} round {number + 1} {server.name}[/] {_told(found[server.name])}")
        for server in servers:
            found[server.name] |= {
                "first_answer_s": [server.first_answer],
                "memory_mib": [server.process.memory_info().rss / 2**20],
            }
    medians = {each: {what: _median(values) for what, values in of.items()} for each, of in found.items()}
    return medians, _ceiling(name, texts, run)


def _ceiling(name: str, texts: Sequence[str], run: Path) -> dict[str, float]:
    """Texts a second, and seconds of the median text, of the matrix products alone: see `ceiling`."""
    lengths = encode(reader_at(str(run / "model")).tokenizer, texts, MAX_TOKENS).lengths
    blocks, width = (int(part) for part in name.split("x"))
    each = [operations(blocks, width, int(length)) for length in lengths]
    found: dict[str, float] = {}
    for form, speed in best_speeds(width).items():
        found |= {f"{form}_gflops": speed / 1e9, f"{form}_per_s": speed / float(np.mean(each))}
        found[f"{form}_p50_ms"] = 1000 * float(np.median(each)) / speed
    return {what: round(value, 2) for what, value in found.items()}


def _asked(server: Server, texts: Sequence[str], seconds: float) -> Iterator[tuple[str, float | None]]:
    for clients in CLIENTS:
        load = by_clients(server.port, texts, clients, seconds)
        yield f"p50_ms_{clients}", milliseconds(load.accepted, 50)
        yield f"p99_ms_{clients}", milliseconds(load.accepted, 99)
        yield f"per_s_{clients}", load.rate
        yield f"broken_{clients}", load.broken
    if server.name != PIPELINE:  # it refuses nothing
        yield from _overload(at_a_rate(server.port, texts, OVERLOAD * load.rate, seconds))


def _overload(load: Load) -> Iterator[tuple[str, float | None]]:
    yield "overload_accepted_p99_ms", milliseconds(load.accepted, 99)
    yield "overload_refused_p99_ms", milliseconds(load.refused, 99)
    yield "overload_refused", len(load.refused)
    yield "overload_without_retry", load.without_retry
    yield "overload_broken", load.broken
    yield "overload_health_max_ms", milliseconds(load.health, 100)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 2) if known else None


def _told(found: dict[str, list[Any]]) -> str:
    return f"p50 {found['p50_ms_1'][-1]} ms, {found['per_s_64'][-1]:.1f}/s at 64"


def table(saved: dict[str, Any]) -> str:
    """A table for each case."""
    at = saved["machine"]
    parts = [_case(name, of, saved["ceilings"][name]) for name, of in saved["cases"].items()]
    told = (
        f"Medians of interleaved rounds of {saved['seconds']:g} s; {at['cores']} cores "
        f"({at['processor']}), {at['date']}; `python -m benchmarks.serve`."
    )
    return "\n\n".join([*parts, told])


def _case(name: str, found: dict[str, dict[str, float]], most: dict[str, float]) -> str:
    head = (
        "| server | p50 at 1 | × | p99 at 1 | texts/s at 8 | texts/s at 64 | × | p99 at 64 "
        "| at 4×: refusals p99 | accepted p99 | slowest health | memory | first answer |"
    )
    usual = found[PIPELINE]
    lines = [f"**{name}**", "", head, "| --- " * (head.count("|") - 1) + "|"]
    for server, of in found.items():
        cells = [
            _ms(of["p50_ms_1"]),
            f"{usual['p50_ms_1'] / of['p50_ms_1']:.1f}",
            _ms(of["p99_ms_1"]),
            f"{of['per_s_8']:.1f}",
            f"{of['per_s_64']:.1f}",
            f"{of['per_s_64'] / usual['per_s_64']:.1f}",
            _ms(of["p99_ms_64"]),
            *(
                _ms(of.get(f"overload_{what}"))
                for what in ("refused_p99_ms", "accepted_p99_ms", "health_max_ms")
            ),
            f"{of['memory_mib']:,.0f} MiB",
            f"{of['first_answer_s']:.1f} s",
        ]
        lines.append(f"| {server} | {' | '.join(cells)} |")
    bounds = ";\n".join(_bounds(most, usual))
    return "\n".join([*lines, "", "Matrix products alone, at this machine's best speed:", f"{bounds}."])


def _bounds(most: dict[str, float], usual: dict[str, float]) -> Iterator[str]:
    for form, bits in (("fp32", "fp32"), ("int8", "8 bits")):
        speed, per_s, p50 = (most[f"{form}_{what}"] for what in ("gflops", "per_s", "p50_ms"))
        yield (
            f"{bits} {speed:,.0f} GFLOP/s, {p50:.1f} ms for the median text "
            f"({usual['p50_ms_1'] / p50:.1f}×), {per_s:,.0f} texts/s ({per_s / usual['per_s_64']:.1f}×)"
        )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def main() -> None:
    """Measure each case, save it, and write the tables."""
    parser = argparse.ArgumentParser(description="Serving beside transformers' pipeline.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES)
    asked = parser.parse_args()
    nothing: dict[str, Any] = {"cases": {}, "ceilings": {}}
    saved = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else nothing
    saved |= {"machine": machine(), "rounds": asked.rounds, "seconds": asked.seconds}
    with tempfile.TemporaryDirectory() as place:
        for case in asked.only:
            found = measured(case, asked.rounds, asked.seconds, Path(place))
            saved["cases"][case], saved["ceilings"][case] = found
            saved["cases"] = {name: saved["cases"][name] for name in CASES if name in saved["cases"]}
            RESULT.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    write_table(PAGE, "serve", table(saved))
    console.print(table(saved))


if __name__ == "__main__":
    main()
