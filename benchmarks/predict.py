"""Rows a second of scoring a table, and what reading and writing cost beside the model.

    python -m benchmarks.predict [--model RUN] [--data ag_news/test.parquet] [--rows 7600] [--rounds 3]
        [--threads 1 2] [--piece-rows 512 1024 4096 16384] [--formats parquet csv] [--out FILE]

Every way is measured in a process of its own, in interleaved rounds, the best of which counts: each stage by
itself, and all of them as `tunesmith predict --file` runs them, where a thread reads ahead. Without --model,
the embedded base is trained on a few rows: what it answers does not matter to how fast it does. Also counts,
for all data sets of ../shared/data, what pieces of each size are padded with, and the equal texts in them.
Writes benchmarks/results/predict.json. `--rounds 0` only counts, which no other work on the machine disturbs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.machine import machine
from benchmarks.one_training import SHARED
from benchmarks.tables import ROOT
from tunesmith.score.here import Done

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "predict.json"
STAGES = ("read", "tokenise", "answer", "keep", "write", "in turn", "as predict runs them")
MICRO_BATCH_TOKENS = 8192
console = Console()
ResultT = TypeVar("ResultT")


def staged(model: str, data: str, piece_rows: int) -> dict[str, float]:
    """Seconds of each stage, of all in turn, and of all with one thread that reads ahead."""
    from tunesmith.pipeline import find_bundle
    from tunesmith.score.answers import added_columns, answered, answers_of, asked_of
    from tunesmith.score.here import answered_here
    from tunesmith.score.output import Answered, write_answered
    from tunesmith.score.pieces import Pieces
    from tunesmith.score.source import open_source, pieces_of

    bundle, path = find_bundle(model), Path(data)
    seconds: dict[str, float] = {}

    def timed(stage: str, make: Callable[[], ResultT]) -> ResultT:
        began = time.perf_counter()
        made = make()
        seconds[stage] = time.perf_counter() - began
        return made

    def keep(found: Iterable[Done]) -> None:
        for piece in found:
            store.write(piece.span, piece.answers)

    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / f"out{path.suffix}"
        table, answers = open_source(path, bundle.task, None, out), answers_of(bundle, 0.0)
        store = Pieces(out)
        store.begin({}, overwrite=True)
        answered(answers, asked_of(answers, ["what is built when it is first used"] * 2))
        pieces = timed("read", lambda: list(pieces_of(table, [], most_rows=piece_rows)))
        asked = timed("tokenise", lambda: [asked_of(answers, piece.texts) for piece in pieces])
        found = timed(
            "answer",
            lambda: [
                Done(piece.span, None, answered(answers, one))
                for piece, one in zip(pieces, asked, strict=True)
            ],
        )
        timed("keep", lambda: keep(found))
        kept = Answered(store.tables(), added_columns(bundle.task), path)
        timed("write", lambda: write_answered(table, kept, out))
        seconds["in turn"] = sum(seconds.values())

        def run() -> None:
            keep(answered_here(answers, pieces_of(table, [], most_rows=piece_rows)))
            again = Answered(store.tables(), added_columns(bundle.task), path)
            write_answered(table, again, out)

        timed(STAGES[-1], run)
    return seconds


def in_a_process(model: Path, data: Path, threads: int, piece_rows: int) -> dict[str, float]:
    """The same in a process of its own, with so many threads."""
    child = [sys.executable, "-m", "benchmarks.predict", "--child", str(model), str(data), str(piece_rows)]
    one = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    variables = {**os.environ, **one, "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(child, capture_output=True, text=True, cwd=ROOT, env=variables)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_model(place: Path) -> Path:
    """The embedded base, trained on a few rows of the demo."""
    import tunesmith
    from tunesmith.data.write import open_table

    data = place / "few.csv"
    with open_table(data, ["text", "label"]) as table:
        table.write(
            [{"text": f"{word} {i} of many", "label": word} for i in range(40) for word in ("a", "b")]
        )
    recipe = tunesmith.Recipe(epochs=1, method="head", rival_seconds=0)
    return tunesmith.train(data, out=place / "run", recipe=recipe).directory


def make_tables(source: Path, rows: int, formats: list[str], place: Path) -> dict[str, Path]:
    """The first rows, over again where there are fewer, in each format."""
    from tunesmith.data.write import open_table

    table = pq.read_table(source)
    table = pa.concat_tables([table] * -(-rows // table.num_rows)).slice(0, rows)
    paths = {name: place / f"table.{name}" for name in formats}
    for path in paths.values():
        with open_table(path, table.column_names) as writer:
            writer.write(table.to_pylist())
    return paths


def texts_of_data() -> Iterator[tuple[str, list[str]]]:
    """The texts, or the prompts, of every data set."""
    for path in sorted(SHARED.glob("*/*.parquet")):
        table = pq.read_table(path)
        name = next((name for name in ("text", "prompt") if name in table.column_names), None)
        if name is not None:
            yield f"{path.parent.name}/{path.stem}", table.column(name).to_pylist()


def of_pieces(texts: list[str], lengths: npt.NDArray[np.int64], piece_rows: int) -> dict[str, float]:
    """What pieces of so many rows come to, whatever the machine.

    `padded`: tokens computed for each token of a text, by models whose batches are padded; `batches`;
    `equal`: rows that say what another row of their piece says.
    """
    from tunesmith.model.encode import micro_batches

    padded = batches = again = 0
    for start in range(0, len(texts), piece_rows):
        some = lengths[start : start + piece_rows]
        groups = micro_batches(some, MICRO_BATCH_TOKENS)
        padded += sum(len(group) * int(some[group].max()) for group in groups)
        batches += len(groups)
        again += len(some) - len(set(texts[start : start + piece_rows]))
    return {"padded": padded / int(lengths.sum()), "batches": batches, "equal": again}


def pieces_of_data(sizes: list[int]) -> dict[str, dict[str, dict[str, float]]]:
    """The same of all data sets, with the tokenizer of the embedded base."""
    from tunesmith.model.encode import encode
    from tunesmith.model.load import load_classifier

    tokenizer = load_classifier("embedded", ("a", "b")).tokenizer
    found = {}
    for name, texts in texts_of_data():
        lengths = encode(tokenizer, texts, 512).lengths
        found[name] = {str(rows): of_pieces(texts, lengths, rows) for rows in sizes}
        padded = ", ".join(f"{rows} rows: {one['padded']:.3f}" for rows, one in found[name].items())
        console.print(f"{name}: tokens computed for each token in pieces of {padded}")
    return found


def measured(asked: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The least seconds of every stage, way by way."""
    model = asked.model or make_model(place)
    tables = make_tables(SHARED / asked.data, asked.rows, asked.formats, place)
    ways = list(product(asked.formats, asked.threads, asked.piece_rows))
    best: dict[str, dict[str, float]] = {}
    for number in range(asked.rounds):
        for kind, threads, piece_rows in ways:
            found = in_a_process(model, tables[kind], threads, piece_rows)
            name = f"{kind}, {threads} threads, pieces of {piece_rows}"
            before = best.get(name, found)
            best[name] = {stage: min(found[stage], before[stage]) for stage in STAGES}
            said = ", ".join(f"{stage} {best[name][stage]:.2f} s" for stage in STAGES)
            speed = asked.rows / best[name][STAGES[-1]]
            console.print(f"round {number + 1}: {name}: {speed:,.0f} rows/s ({said})")
    return best


def main() -> None:
    """Measure every way that is asked for."""
    parser = argparse.ArgumentParser(description="Rows a second of scoring a table.")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", default="ag_news/test.parquet", help="in ../shared/data")
    parser.add_argument("--rows", type=int, default=7600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--piece-rows", type=int, nargs="*", default=[512, 1024, 4096, 16384])
    parser.add_argument(
        "--formats", nargs="*", choices=["parquet", "csv", "jsonl"], default=["parquet", "csv"]
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=3, metavar=("MODEL", "DATA", "ROWS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        model, data, piece_rows = asked.child
        print(json.dumps(staged(model, data, int(piece_rows))))
        return
    with tempfile.TemporaryDirectory() as place:
        seconds = measured(asked, Path(place)) if asked.rounds else {}
    saved = {
        "machine": machine(),
        "data": asked.data,
        "rows": asked.rows,
        "rounds": asked.rounds,
        "model": str(asked.model.name) if asked.model else "embedded",
        "seconds": seconds,
        "pieces": pieces_of_data(asked.piece_rows),
    }
    asked.out.write_text(json.dumps(saved, indent=1) + "\n")


if __name__ == "__main__":
    main()
