"""`tunesmith serve` under thousands of requests that its own OpenAPI schema allows, and that it forbids.

    python -m benchmarks.fuzz [--cases 20000] [--examples 250] [--out FILE]

tests/fuzzing.py and tests/tormenting.py make the requests, as the tests do; here there are many more, and the
server is a process of its own that loads models and answers batches. Round follows round, each from a seed of
its own, until there are `--cases` of them. Writes benchmarks/results/fuzz.json after each round.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.fuzzing import fuzz
from tests.integration.api.test_process import COMMAND, ended, running_process
from tests.models import save_tiny_base, save_tiny_bundle
from tests.tormenting import Fuzzed, torment

from benchmarks.machine import machine
from tunesmith.model.load import load_classifier

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "fuzz.json"
LABELS = ("politics", "sports", "weather")
MAX_TOKENS = 48
# hostile batches are looked at when all are done
SETTINGS = {"TUNESMITH_MAX_BATCHES": "1000000", "OMP_NUM_THREADS": "1"}
# the log's word for whatever was not foreseen
FAULT = " fault="


def make_models(root: Path) -> None:
    """Two models, and one whose weights end too early."""
    classifier = load_classifier(str(save_tiny_base(root.parent / "base")), LABELS)
    for name in ("one", "two", "damaged"):
        save_tiny_bundle(root / name, classifier, MAX_TOKENS)
    os.truncate(root / "damaged" / "model.safetensors", 1000)


def rounds(url: str, cases: int, examples: int) -> Iterator[dict[str, Any]]:
    """What was found so far, after each round."""
    by_hand, by_schema = torment(url), Fuzzed()
    for seed in itertools.count(1):
        found = fuzz(url, examples, seed)
        by_schema.cases += found.cases
        by_schema.faults += found.faults
        yield {"rounds": seed, "by_schema": by_schema.figures(), "by_hand": by_hand.figures()}
        if by_schema.total >= cases:
            return


def save(place: Path, found: dict[str, Any], began: float) -> None:
    """Write what was found so far."""
    kinds = found["by_schema"], found["by_hand"]
    saved = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("schemathesis", "hypothesis", "fastapi", "uvicorn")},
        "seconds": round(time.monotonic() - began, 1),
        "cases": sum(kind["cases"] for kind in kinds),
        "not_as_the_schema_says": sum(len(kind["faults"]) for kind in kinds),
        **found,
    }
    place.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    print(
        f"{saved['cases']:,} cases in {saved['seconds']:,} s, {saved['not_as_the_schema_says']} faults",
        flush=True,
    )


def main() -> None:
    """Measure, print and save; exit 1 where anything was not as the schema says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=20_000, help="that are made of the schema")
    parser.add_argument("--examples", type=int, default=250, help="of each operation, in a round")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked, began, found = parser.parse_args(), time.monotonic(), dict[str, Any]()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        make_models(root)
        words = ["-c", COMMAND, str(root / "one"), "--model-root", str(root)]
        with running_process(words, {**os.environ, **SETTINGS}) as running:
            url = str(running.client.base_url).rstrip("/")
            for found in rounds(url, asked.cases, asked.examples):
                save(asked.out, found, began)
            running.stop()
            status, log = ended(running)
    found |= {
        "faults_in_the_log": [line for line in log.splitlines() if FAULT in line],
        "exit_status": status,
    }
    save(asked.out, found, began)
    faults = found["faults_in_the_log"], found["by_schema"]["faults"], found["by_hand"]["faults"]
    raise SystemExit(bool(status or any(faults)))


if __name__ == "__main__":
    main()
