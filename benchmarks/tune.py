"""Whether a search of twenty trials beats the defaults on 1,000 examples of AG News.

    python -m benchmarks.tune [--out DIR] [--trials 20] [--examples 1000] [--seed 0]

One `tunesmith.tune`, which goes on in `--out` where it was stopped; the test rows are fixed and read at its
end. Writes benchmarks/results/tune.json and, between its markers, the table in docs/tuning.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

import tunesmith as ts
from benchmarks.low_data import MOST_TOKENS, drawn, rows_of
from benchmarks.machine import machine
from benchmarks.tables import ROOT, write_table
from tunesmith.data.write import write_dataset

__all__ = ["main", "table"]

DATA, LABELS, PAGE = "ag_news", 4, "docs/tuning.md"
RESULT = ROOT / "benchmarks" / "results" / "tune.json"
console = Console()
Results = dict[str, Any]


class _Notes(ts.Listener):
    def note(self, text: str) -> None:
        """Show how far it is."""
        console.print(f"[dim]{text}[/]", markup=True, highlight=False)


def measured(asked: argparse.Namespace) -> Results:
    """Search, and what came of it."""
    asked.out.mkdir(parents=True, exist_ok=True)
    train, test = asked.out / "train.jsonl", asked.out / "test.jsonl"
    if not train.exists():
        write_dataset(test, rows_of(DATA, "test"))
        write_dataset(train, drawn(rows_of(DATA, "train"), asked.examples // LABELS, asked.seed))
    recipe = ts.Recipe(seed=asked.seed, max_tokens=MOST_TOKENS[DATA])
    began = time.monotonic()
    found = ts.tune(
        train, test=test, recipe=recipe, out=asked.out / "search", trials=asked.trials, listener=_Notes()
    )
    assert found.report is not None
    return {
        "machine": machine(),
        "data": DATA,
        "examples": asked.examples,
        "test_rows": found.report.rows,
        "seconds_of_this_call": round(time.monotonic() - began),
        # where it lay is nobody's business
        **{name: value for name, value in found.to_dict().items() if name != "storage"},
    }


def table(saved: Results) -> str:
    """What the search found beside the defaults, and what it was measured on."""
    trials = {trial["number"]: trial for trial in saved["trials"]}
    best, default = trials[saved["best"]], trials[saved["default"]]
    compared, at = saved["comparison"], saved["machine"]
    rival = compared["test"]
    on_test = rival["metrics"]["macro_f1"] if rival else saved["test"]["macro_f1"]
    gain = _difference(rival["differences"]["macro_f1"]) if rival else "the defaults are the best"
    states = [trial["state"] for trial in saved["trials"]]
    seconds = sum(trial["seconds"] or 0 for trial in saved["trials"])
    recipe = ", ".join(f"`{name}` {_value(value)}" for name, value in best["params"].items())
    lines = [
        "| recipe | validation score | test macro-F1 | gain on test rows, paired 95 % interval |",
        "| --- | --- | --- | --- |",
        f"| the defaults | {default['score']:.3f} | {on_test:.3f} | |",
        f"| best of {len(states)} trials | {best['score']:.3f} | {saved['test']['macro_f1']:.3f} | {gain} |",
        "",
        f"{compared['headline']}, on AG News with {saved['examples']:,} examples and {saved['test_rows']:,} "
        f"test rows. The best was trial {best['number']}: {recipe}. {states.count('pruned')} trials were "
        f"pruned; all together took {seconds / 60:.0f} minutes on {at['threads']} core ({at['processor']}), "
        f"{at['date']}; `python -m benchmarks.tune`.",
    ]
    return "\n".join(lines)


def _difference(found: dict[str, float]) -> str:
    return f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Search, and write the result and the table."""
    parser = argparse.ArgumentParser(description="A search against the defaults.")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark-tune")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    saved = measured(parser.parse_args())
    RESULT.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_table(PAGE, "tune", table(saved))
    console.print(table(saved))


if __name__ == "__main__":
    main()
