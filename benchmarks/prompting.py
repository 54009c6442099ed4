"""What sharing a prompt's beginning gains: labels' likelihoods behind it, read once or with every text.

    python -m benchmarks.prompting [--base embedded] [--data ag_news] [--rows 64] [--rounds 5]

The zero-shot and the few-shot prompt of the rivals, with the same answers either way: that is checked. Rounds
are interleaved. What was measured goes into benchmarks/results/prompting.json, and the table into
docs/rivals.md, between its markers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.low_data import rows_of
from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.prompting import Asking, asking, examples
from tunesmith.evaluation.trial import Trial
from tunesmith.model.generator import load_generator

__all__ = ["main", "table"]

RESULTS = ROOT / "benchmarks" / "results" / "prompting.json"
_MICRO_BATCH_TOKENS = 8192


def measure(prompt: Asking, texts: list[str], rounds: int) -> dict[str, Any]:
    """Seconds of each round, with and without sharing, and by how much the answers differ."""
    past = prompt.read()
    assert past is not None, "the architecture is not known: there is nothing to share"
    ways: dict[str, Callable[[], Any]] = {
        "shared": lambda: prompt.log_likelihoods(texts, prompt.read()),
        "alone": lambda: prompt.log_likelihoods(texts, None),
    }
    answers = {name: way() for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return {
        "prefix_tokens": len(prompt.prefix),
        "texts": len(texts),
        "difference": float(np.abs(answers["shared"] - answers["alone"]).max()),
        "seconds": seconds,
        "ratio": float(np.median(np.divide(seconds["alone"], seconds["shared"]))),
    }


def table(saved: dict[str, Any]) -> str:
    """A line for each prompt and data set."""
    lines = [
        "| prompt | tokens shared | ms a text, read each time | ms a text, read once | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, found in saved["cells"].items():
        each = [1000 * np.median(found["seconds"][way]) / found["texts"] for way in ("alone", "shared")]
        lines.append(
            f"| {name} | {found['prefix_tokens']} | {each[0]:.1f} | {each[1]:.1f} | {found['ratio']:.1f} |"
        )
    at = saved["machine"]
    worst = max(found["difference"] for found in saved["cells"].values())
    told = (
        f"Medians of {saved['rounds']} interleaved rounds; log-likelihoods differ by {worst:.0e} at most."
        f" {at['processor']}, {at['threads']} thread(s), {at['date']}; `python -m benchmarks.prompting`."
    )
    return "\n".join([*lines, "", told])


def main() -> None:
    """Measure, keep and show."""
    parser = argparse.ArgumentParser(description="What sharing a prompt's beginning gains.")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--data", nargs="+", default=["demo", "ag_news", "bbc_news"])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    learner = load_generator(asked.base)
    cells: dict[str, Any] = {}
    for data in asked.data:
        train, test = rows_of(data, "train"), rows_of(data, "test").drawn(asked.rows, 0)
        trial = Trial(learner, learner.window, _MICRO_BATCH_TOKENS, train, test, 0, Budget())
        shots = examples(trial)
        cells[f"{data}, zero-shot"] = measure(asking(trial), test.texts, asked.rounds)
        cells[f"{data}, {len(shots)}-shot"] = measure(asking(trial, shots), test.texts, asked.rounds)
    saved = {"base": asked.base, "rounds": asked.rounds, "machine": machine(), "cells": cells}
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    shown = table(saved)
    write_table("docs/rivals.md", "prompting", shown)
    print(shown)


if __name__ == "__main__":
    main()
