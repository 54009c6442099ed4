"""Token ids: cut where they should be, counted whole, and the same from memory and from a file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import tiny_tokenizer
from tunesmith.data.check import check
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.render import messages_of, render
from tunesmith.data.store import gathered
from tunesmith.data.template import Template
from tunesmith.errors import StorageError
from tunesmith.model.encode import Encoded, count_tokens, encode
from tunesmith.model.targets import EncodedTargets, encode_segments, template_of
from tunesmith.model.tokens import encode_dataset, encode_targets
from tunesmith.task import Task
from tunesmith.writing import token_report

TASK = Task(labels=("a", "b"))
TEXTS = [f"the striker scored {'goals ' * (number % 30)}é {number}" for number in range(1_500)]


def _tokenizer(*, framed: bool = False) -> Any:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    mark = tokenizer.eos_token
    single = f"{mark} $A {mark}" if framed else "$A"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=[(mark, tokenizer.eos_token_id)]
    )
    return tokenizer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def large(cache: Path) -> Dataset:
    small = dataset_of(TASK, TEXTS, ["a", "b"] * 750)
    stored = gathered(small.table.to_batches(), small.table.schema, spill_bytes=1)
    return Dataset(TASK, stored.table, mapped=stored.mapped)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5), st.integers(3, 20), st.booleans())
def test_what_is_kept_and_what_is_cut_make_the_whole(texts: list[str], most: int, framed: bool) -> None:
    tokenizer = _tokenizer(framed=framed)
    encoded = encode(tokenizer, iter(texts), most)
    whole = encoded.lengths + encoded.cut
    # a text without a token is given one
    assert whole.tolist() == [max(1, count) for count in count_tokens(tokenizer, texts)]
    assert encoded.truncated.tolist() == [count > most for count in whole]
    assert [encoded[row].tolist() for row in range(len(texts))] == [
        tokenizer(text, truncation=True, max_length=most)["input_ids"] or [tokenizer.pad_token_id]
        for text in map(_readable, texts)
    ]


def _readable(text: str) -> str:
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)


def _same(one: Encoded, other: Encoded) -> bool:
    names = ("flat", "starts", "cut", "truncated", "lengths")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_a_large_set_is_tokenised_once(large: Dataset, cache: Path) -> None:
    tokenizer = _tokenizer()
    once = encode_dataset(tokenizer, large, 16)
    assert _same(once, encode(tokenizer, TEXTS, 16))
    assert once.flat.dtype == np.uint16
    assert once[7].dtype == np.int32
    assert [part.tolist() for part in once.pieces()] == [once.flat.tolist()]
    (entry,) = cache.iterdir()
    written = entry.stat().st_mtime_ns, (entry / "flat.bin").stat().st_ino
    assert encode_dataset(tokenizer, large, 16) is once
    assert _same(encode_dataset(tokenizer, replace(large), 16), once)
    assert (entry / "flat.bin").stat().st_ino == written[1]
    assert len(list(cache.iterdir())) == 1


def test_other_texts_windows_and_tokenizers_are_others(large: Dataset, cache: Path) -> None:
    rows = np.arange(1_499)
    stored = gathered(large.take(rows).batches(), large.table.schema, spill_bytes=1)
    encode_dataset(_tokenizer(), large, 16)
    encode_dataset(_tokenizer(), large, 17)
    encode_dataset(_tokenizer(framed=True), large, 16)
    encode_dataset(_tokenizer(), Dataset(TASK, stored.table, mapped=stored.mapped), 16)
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("name", ["flat.bin", "lengths.npy", "cut.npy"])
def test_damage_is_seen_and_mended(large: Dataset, cache: Path, name: str) -> None:
    tokenizer = _tokenizer()
    encode_dataset(tokenizer, large, 16)
    (path,) = cache.glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:-3])
    assert _same(encode_dataset(tokenizer, replace(large), 16), encode(tokenizer, TEXTS, 16))


def test_a_full_disk_is_one_error_and_leaves_nothing(large: Dataset, cache: Path) -> None:
    class Full:
        """A tokenizer in whose middle the disk runs full."""

        calls = 0

        def __init__(self) -> None:
            self.inner = _tokenizer()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __len__(self) -> int:
            return len(self.inner)

        def __call__(self, *given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.inner(*given, **named)

    with pytest.raises(StorageError) as caught:
        encode_dataset(Full(), large, 16)
    (problem,) = caught.value.problems
    assert problem.code == "disk-full"
    assert "TUNESMITH_CACHE" in problem.fix
    assert list(cache.iterdir()) == []


def test_small_sets_are_not_written(cache: Path) -> None:
    encode_dataset(_tokenizer(), dataset_of(TASK, TEXTS[:9], ["a"] * 9), 16)
    assert not cache.exists()


WRITES = Task(kind="completion", target_column="completion")


@pytest.fixture
def pairs(cache: Path) -> Dataset:
    small = dataset_of(WRITES, TEXTS, [f"it was {'won ' * (number % 20)}" for number in range(len(TEXTS))])
    return _mapped(small)


def _mapped(small: Dataset) -> Dataset:
    stored = gathered(small.table.to_batches(), small.table.schema, spill_bytes=1)
    return Dataset(small.task, stored.table, mapped=stored.mapped)


def _in_memory(dataset: Dataset, template: Template, most: int) -> EncodedTargets:
    rows = [render(messages_of(dataset.task, row.text, str(row.target)), template) for row in dataset]
    return encode_segments(_tokenizer(), rows, most)


def _same_targets(one: EncodedTargets, other: EncodedTargets) -> bool:
    rows = range(0, len(one), 97)
    return (
        _same(one.encoded, other.encoded)
        and np.array_equal(one.learned, other.learned)
        and np.array_equal(one.counts, other.counts)
        and all(np.array_equal(one.learned_of(row), other.learned_of(row)) for row in rows)
    )


def test_targets_of_a_large_set_are_made_once(pairs: Dataset, cache: Path) -> None:
    tokenizer = _tokenizer()
    template = template_of(tokenizer)
    once = encode_targets(tokenizer, pairs, template, 24)
    assert once.mapped is not None
    assert _same_targets(once, _in_memory(pairs, template, 24))
    assert 0 < once.encoded.truncated.sum() < len(pairs)
    (entry,) = cache.iterdir()
    written = (entry / "learned.bin").stat().st_ino
    assert _same_targets(encode_targets(tokenizer, replace(pairs), template, 24), once)
    assert (entry / "learned.bin").stat().st_ino == written


def test_other_templates_instructions_and_answers_are_others(pairs: Dataset, cache: Path) -> None:
    tokenizer = _tokenizer()
    template = template_of(tokenizer)
    told = WRITES.model_copy(update={"instruction": "Be brief."})
    other_answers = _mapped(dataset_of(WRITES, TEXTS, ["it was lost"] * len(TEXTS)))
    dated = replace(template, source=template.source + "{% if false %}{{ strftime_now('%Y') }}{% endif %}")
    others = [
        (pairs, template, 24),
        (pairs, template, 25),
        (replace(pairs, task=told), template, 24),
        (pairs, replace(template, source=template.source.replace("#", "=")), 24),
        (pairs, dated, 24),
        (other_answers, template, 24),
    ]
    for dataset, written_by, most in others:
        found = encode_targets(tokenizer, dataset, written_by, most)
        assert _same_targets(found, _in_memory(dataset, written_by, most))
    assert len(list(cache.iterdir())) == len(others)


def test_targets_that_were_damaged_are_made_anew(pairs: Dataset, cache: Path) -> None:
    tokenizer = _tokenizer()
    template = template_of(tokenizer)
    encode_targets(tokenizer, pairs, template, 24)
    (path,) = cache.glob("*/learned.bin")
    path.write_bytes(bytes(path.stat().st_size))
    found = encode_targets(tokenizer, replace(pairs), template, 24)
    assert _same_targets(found, _in_memory(pairs, template, 24))


def test_targets_of_small_sets_are_not_written(cache: Path) -> None:
    small, tokenizer = dataset_of(WRITES, TEXTS[:9], ["won"] * 9), _tokenizer()
    once = encode_targets(tokenizer, small, template_of(tokenizer), 24)
    assert len(once) == 9
    assert encode_targets(tokenizer, small, template_of(tokenizer), 24) is once
    assert not cache.exists()


def test_prompts_and_answers_are_measured_whole_as_the_template_writes_them() -> None:
    tokenizer = _tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role[0] + m.content }}{% endfor %}"
    told = WRITES.model_copy(update={"instruction": "Do."})
    dataset = dataset_of(told, ["a", *"p" * 8, "p"], ["b" * 20, *"c" * 8, None])
    report = token_report(check(dataset), dataset, tokenizer, 20)
    wholes = ["sDo.ua", "a" + "b" * 20], ["sDo.up", "ac"], ["sDo.up"]
    counts = [sum(count_tokens(tokenizer, parts)) for parts in (wholes[0], *[wholes[1]] * 8, wholes[2])]
    assert report.token_lengths is not None
    assert report.token_lengths.longest == max(counts) > 20
    assert report.token_lengths.mean == pytest.approx(sum(counts) / 10)
    (cut,) = [problem for problem in report.problems if problem.code == "truncated"]
    assert cut.count == 1
    assert "beginning of prompts" in cut.fix
