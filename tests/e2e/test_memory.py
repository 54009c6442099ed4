"""Training on many rows in memory that does not grow with them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.models import save_tiny_base

ROOT = Path(__file__).parents[2]
FEW_ROWS, MANY_ROWS = 20_000, 110_000
# of 200,000 rows, texts, labels and ids in lists took 160 more
MOST_MIB = 40


@pytest.fixture(scope="module")
def word_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base whose tokenizer only looks words up, which is quick."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    base = save_tiny_base(tmp_path_factory.mktemp("words") / "base")
    vocabulary = {"<|endoftext|>": 0, **{word: number for number, word in enumerate(_words(), 1)}}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<|endoftext|>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    end: dict[str, Any] = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **end)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(base)
    return base


def _words() -> list[str]:
    return [f"word{number:03}" for number in range(300)]


def _write(path: Path, rows: int) -> Path:
    """Texts of thirty words, of which no two are alike."""
    chance, words = random.Random(0), _words()
    halves = [" ".join(chance.choices(words, k=15)) for _ in range(1000)]
    with path.open("w", encoding="utf-8") as stream:
        stream.write("text,label\n")
        for row in range(rows):
            first, second = divmod(row, 1000)
            stream.write(f"{halves[first]} {halves[second]} {row},{'ab'[row % 2]}\n")
    return path


def _grown(rows: int, base: Path, place: Path) -> int:
    """By how many bytes a process grows that trains on so many rows."""
    data = _write(place / f"{rows}.csv", rows)
    command = [sys.executable, "-m", "tests.e2e.growth", str(data), str(base), str(place / str(rows))]
    variables = {**os.environ, "TUNESMITH_CACHE": str(place / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    grown = json.loads(done.stdout.splitlines()[-1])
    assert grown["steps"] == 2
    return int(grown["bytes"])


@pytest.mark.skipif(sys.platform == "win32", reason="pages that were read cannot be given back there")
def test_memory_hardly_grows_with_the_rows(word_base: Path, tmp_path: Path) -> None:
    few, many = _grown(FEW_ROWS, word_base, tmp_path), _grown(MANY_ROWS, word_base, tmp_path)
    assert many - few < MOST_MIB << 20
