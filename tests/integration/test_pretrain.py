from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS
from tunesmith.cli.corpora import part_of
from tunesmith.files import sha256_file
from tunesmith.model.load import load_classifier
from tunesmith.pretraining.corpus import Part
from tunesmith.pretraining.run import PretrainSettings, pretrain
from tunesmith.pretraining.sizes import Size
from tunesmith.training.loop import Interrupted

SETTINGS = PretrainSettings(
    size=Size(layers=1, width=16, heads=2, vocabulary=300),
    window=32,
    tokens=6000,
    batch_tokens=512,
    learning_rate=1e-2,
    precision="fp32",
    seed=0,
)


def _corpus(path: Path, seed: int = 0, count: int = 200) -> Path:
    chance = random.Random(seed)
    texts = ["\n".join(chance.choice([*SPORTS, *POLITICS]) for _ in range(5)) for _ in range(count)]
    data = "\n\n".join(texts).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Part]:
    place = tmp_path_factory.mktemp("corpus")
    return [Part(_corpus(place / "a.txt"), 2.0), Part(_corpus(place / "b.txt.gz", 1), 1.0)]


@pytest.fixture(scope="module")
def base(parts: list[Part], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bases") / "whole"
    pretrain(parts, out, SETTINGS)
    return out


def test_a_base_says_how_it_was_made(base: Path) -> None:
    facts = json.loads((base / "pretrain.json").read_text("utf-8"))
    assert facts["settings"]["window"] == 32
    assert [corpus["name"] for corpus in facts["corpora"]] == ["a.txt", "b.txt.gz"]
    assert [corpus["share"] for corpus in facts["corpora"]] == [2.0, 1.0]
    assert facts["tokens_seen"] == pytest.approx(6000, rel=0.1)
    assert facts["curve"][-1]["bits_per_byte"] < facts["curve"][0]["bits_per_byte"] < 8
    assert "| a.txt | 2 |" in (base / "README.md").read_text("utf-8")
    assert [path.name for path in base.parent.iterdir()] == ["whole"]
    modes = {path.stat().st_mode & 0o777 for path in base.iterdir()}
    assert len(modes) == 1, "all files can be read by the same people"


def test_a_base_can_be_trained_on(base: Path, news: Path, tmp_path: Path) -> None:
    classifier = load_classifier(str(base), ("a", "b"))
    assert classifier.window == 32
    assert classifier.tokenizer.pad_token_id != classifier.tokenizer.eos_token_id
    run = ts.train(news, recipe=ts.Recipe(base=str(base), epochs=1), out=tmp_path / "run")
    assert run.load().predict(["goal"])[0].target in run.task.labels


@pytest.mark.parametrize("stop_after", [1, 6])
def test_stopped_and_resumed_equals_uninterrupted(
    parts: list[Part], base: Path, tmp_path: Path, stop_after: int
) -> None:
    out, heard, resumed = tmp_path / "base", Heard(), Heard()
    with pytest.raises(Interrupted):
        pretrain(parts, out, SETTINGS, listener=heard, should_stop=lambda: len(heard.progress) == stop_after)
    assert not out.exists()
    assert _codes(lambda: pretrain(parts, out, SETTINGS)) == ["exists"]
    pretrain(parts, out, SETTINGS, resume=True, listener=resumed)
    assert sha256_file(out / "model.safetensors") == sha256_file(base / "model.safetensors")
    assert sha256_file(out / "tokenizer.json") == sha256_file(base / "tokenizer.json")
    assert resumed.stages == ["read", "pretrain"]
    assert resumed.progress[0].step == stop_after + 1
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_adamw_resumes_as_exactly(parts: list[Part], tmp_path: Path) -> None:
    settings = replace(SETTINGS, optimizer="adamw")
    heard = Heard()
    pretrain(parts, tmp_path / "whole", settings)
    with pytest.raises(Interrupted):
        pretrain(
            parts, tmp_path / "b", settings, listener=heard, should_stop=lambda: len(heard.progress) == 3
        )
    pretrain(parts, tmp_path / "b", settings, resume=True)
    first, second = (sha256_file(tmp_path / name / "model.safetensors") for name in ("whole", "b"))
    assert first == second
    assert "AdamW at 0.01" in (tmp_path / "b" / "README.md").read_text("utf-8")


def test_another_base_is_not_taken_for_the_one_that_was_stopped(parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "base"
    with pytest.raises(Interrupted):
        pretrain(parts, out, SETTINGS, should_stop=lambda: True)
    other = replace(SETTINGS, size=Size(2, 16, 2, 300), seed=1)
    with pytest.raises(ts.UserError, match=r"(?s)resume-changed.*settings\.s") as caught:
        pretrain(parts, out, other, resume=True)
    told = {problem.what.split("`")[1] for problem in caught.value.problems}
    assert told == {"settings.seed", "settings.size.layers"}
    with pytest.raises(ts.UserError, match="corpora") as caught:
        pretrain([Part(parts[0].path, 1.0), parts[1]], out, SETTINGS, resume=True)
    assert [problem.what.split("`")[1] for problem in caught.value.problems] == ["corpora.1.share"]
    # begun anew, nothing of the old run may come back
    pretrain(parts, out, other, overwrite=True)
    assert json.loads((out / "pretrain.json").read_text())["settings"]["size"]["layers"] == 2


def _codes(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ts.UserError) as caught:
        call()
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "no-file"),
        (Path.mkdir, "not-text"),
        (lambda path: path.write_bytes(b""), "empty-file"),
        (lambda path: path.write_text("\n\n \n"), "empty-file"),
        (lambda path: path.write_text("one document"), "small-corpus"),
        (lambda path: path.write_bytes(bytes(9999)), "not-text"),
        (lambda path: path.write_bytes(random.Random(0).randbytes(50_000)), "not-text"),
        (lambda path: path.write_bytes(gzip.compress(random.Random(0).randbytes(9999))), "not-text"),
    ],
)
def test_a_corpus_that_is_none(tmp_path: Path, make: Callable[[Path], object], code: str) -> None:
    path = tmp_path / "a.txt"
    make(path)
    assert _codes(lambda: pretrain([Part(path, 1.0)], tmp_path / "base", SETTINGS)) == [code]
    assert [found.name for found in tmp_path.iterdir()] == (["a.txt"] if path.exists() else [])


def test_a_compressed_corpus_that_is_cut_short(tmp_path: Path) -> None:
    path = _corpus(tmp_path / "a.txt.gz")
    path.write_bytes(path.read_bytes()[:-200])
    assert _codes(lambda: pretrain([Part(path, 1.0)], tmp_path / "base", SETTINGS)) == ["bad-compression"]


def test_a_share_too_small_for_one_window_is_told(tmp_path: Path) -> None:
    parts = [Part(_corpus(tmp_path / "a.txt"), 1.0), Part(_corpus(tmp_path / "b.txt"), 0.001)]
    assert _codes(lambda: pretrain(parts, tmp_path / "base", SETTINGS)) == ["few-tokens"]


def test_a_few_documents_are_enough(tmp_path: Path) -> None:
    heard = Heard()
    facts = pretrain(
        [Part(_corpus(tmp_path / "a.txt", count=3))], tmp_path / "base", SETTINGS, listener=heard
    )
    (corpus,) = facts["corpora"]
    assert corpus["passes"] > 10
    assert facts["curve"][-1]["bits_per_byte a.txt"] > 0
    assert facts["curve"][-1]["perplexity a.txt"] > 1
    writes = [note for note in heard.notes if note.startswith("writes: ")]
    assert len(writes) == len(facts["curve"])
    assert len(facts["samples"]) == 3


def test_a_llama_is_made_and_resumes_too(parts: list[Part], tmp_path: Path) -> None:
    settings = replace(SETTINGS, architecture="llama", tokens=3000)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    pretrain(parts, whole, settings)
    config = json.loads((whole / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"]) == ("llama", 32)
    heard = Heard()
    with pytest.raises(Interrupted):
        pretrain(parts, stopped, settings, listener=heard, should_stop=lambda: len(heard.progress) == 3)
    pretrain(parts, stopped, settings, resume=True)
    assert sha256_file(whole / "model.safetensors") == sha256_file(stopped / "model.safetensors")
    assert "# A Llama made by" in (whole / "README.md").read_text()


def test_corpora_of_one_name_are_measured_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    parts = [Part(_corpus(tmp_path / "a.txt"), 1.0), Part(_corpus(tmp_path / "other" / "a.txt", 5), 1.0)]
    facts = pretrain(parts, tmp_path / "base", SETTINGS)
    assert len(facts["corpora"]) == 2


@pytest.mark.parametrize("share", ["x", "0", "-1", "nan", "inf", ""])
def test_a_share_that_is_no_share_is_a_usage_error(share: str) -> None:
    with pytest.raises(typer.BadParameter, match="over 0"):
        part_of(f"a.txt={share}")


def test_a_file_may_have_an_equals_sign_in_its_name(tmp_path: Path) -> None:
    path = _corpus(tmp_path / "a=2")
    parts = [part_of(corpus) for corpus in (str(path), f"{path}=3", "b=c=0.5", "d")]
    assert parts == [Part(path, 1.0), Part(path, 3.0), Part(Path("b=c"), 0.5), Part(Path("d"), 1.0)]
