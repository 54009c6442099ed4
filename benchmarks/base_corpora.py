"""The text that the embedded base reads: collected, and without what any model is judged on.

    python -m benchmarks.base_corpora WORK [--megabytes 60]

Writes WORK/NAME.txt for every corpus, a paragraph a line and an empty line between documents, and
WORK/corpora.json. What stands there already stays, so that a stopped collection goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.overlap import WORDS, Forbidden
from benchmarks.prose import write_documentation
from benchmarks.tables import ROOT
from benchmarks.wordnet import write_wordnet
from tunesmith.pretraining.corpus import Part, documents

__all__ = ["CORPORA", "Corpus", "collect", "judged_texts", "main"]

SHARED = ROOT.parent / "shared"
DEMO = ROOT / "src" / "tunesmith" / "demo"
_JUDGED = {
    "ag_news": ("test",),
    "alpaca_9k": ("test",),
    "bbc_news": ("test",),
    "dolly_3k": ("test",),
    "go_emotions": ("validation", "test"),
    "multi30k": ("validation", "test"),
    "reuters21578": ("test",),
    "scitldr": ("validation", "test"),
}
console = Console()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where a corpus comes from, and what may be done with it."""

    write: Callable[[Path, int], object]
    """Called with where to write, and how many bytes are enough"""
    origin: str


def _write_beginning(out: Path, most_bytes: int, texts: Iterable[str]) -> None:
    with out.open("w", encoding="utf-8") as stream:
        for text in texts:
            stream.write(text + "\n\n")
            if stream.tell() >= most_bytes:
                break


def _copied(name: str) -> Callable[[Path, int], None]:
    """Of a file of `shared/corpus`: its beginning."""

    def write(out: Path, most_bytes: int) -> None:
        _write_beginning(out, most_bytes, documents(Part(SHARED / "corpus" / name)))

    return write


def _table(name: str, columns: tuple[str, ...]) -> Callable[[Path, int], None]:
    """Of the training split of `shared/data`: a row a document, its columns paragraphs."""

    def write(out: Path, most_bytes: int) -> None:
        rows = pq.read_table(SHARED / "data" / name / "train.parquet", columns=list(columns)).to_pylist()
        texts = ("\n".join(" ".join(row[column].split()) for column in columns) for row in rows)
        _write_beginning(out, most_bytes, texts)

    return write


CORPORA = {
    "modern": Corpus(
        _copied("modern-en.txt.zst"),
        "news and guides by United States government staff (digital.gov, 18f.gsa.gov): public domain, CC0",
    ),
    "comments": Corpus(
        _table("go_emotions", ("text",)), "GoEmotions, training split: short comments, Apache-2.0"
    ),
    "abstracts": Corpus(
        _table("scitldr", ("prompt", "completion")),
        "SciTLDR, training split: abstracts of papers and their summaries, Apache-2.0",
    ),
    "wordnet": Corpus(
        lambda out, _: write_wordnet(out),
        "WordNet 3.0 by Princeton University, as Debian's wordnet-base has it: what words mean; its own "
        "licence allows any use",
    ),
    "documentation": Corpus(
        lambda out, _: write_documentation(out),
        "prose of the manual pages and guides on a Debian machine with a Rust toolchain, under the "
        "free licences of their projects",
    ),
    "books": Corpus(
        _copied("gutenberg-en.txt.zst"),
        "English prose of the most read authors of Project Gutenberg, public domain in the United States",
    ),
}


def judged_texts() -> Iterator[str]:
    """Every text of a split that some model here is validated or tested on."""
    for name, parts in _JUDGED.items():
        for part in parts:
            table = pq.read_table(SHARED / "data" / name / f"{part}.parquet")
            for column in {"text", "prompt", "completion"} & set(table.column_names):
                yield from filter(None, table[column].to_pylist())
    for part in ("validation", "test"):
        lines = (DEMO / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        yield from (json.loads(line)["text"] for line in lines)


@cache
def _forbidden() -> Forbidden:
    return Forbidden(judged_texts())


def collect(name: str, work: Path, most_bytes: int) -> dict[str, int]:
    """Write WORK/NAME.txt, but for paragraphs that share thirteen words in a row with a judged text."""
    raw, out = work / f"{name}.raw", work / f"{name}.txt"
    CORPORA[name].write(raw, most_bytes)
    kept = dropped = 0
    with raw.open(encoding="utf-8") as source, out.with_suffix(".part").open("w", encoding="utf-8") as stream:
        for line in source:
            if line.strip() and _forbidden().is_in(line):
                dropped += 1
            else:
                stream.write(line)
                kept += bool(line.strip())
    raw.unlink()
    out.with_suffix(".part").replace(out)
    return {"paragraphs": kept, "dropped": dropped, "bytes": out.stat().st_size}


def main() -> None:
    """Collect every corpus that is not there yet."""
    parser = argparse.ArgumentParser(description="The text that the embedded base reads.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--megabytes", type=int, default=60, help="enough of a corpus that is large")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    file = asked.work / "corpora.json"
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name in (name for name in CORPORA if not (asked.work / f"{name}.txt").exists()):
        found[name] = collect(name, asked.work, asked.megabytes * 1_000_000)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        console.print(f"[dim]{name}[/] {found[name]} (runs of {WORDS} words)")


if __name__ == "__main__":
    main()
