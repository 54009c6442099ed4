"""Every input that a hostile or a tired person gives: one clear error, and nothing is written."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import TUNESMITH, Cli, Finished, write_table
from tests.forked import environment
from tunesmith.bundle import FORMAT

Make = Callable[[Path], object]


def _jsonl(name: str, labels: list[object]) -> Make:
    rows = [{"text": f"text number {number}", "label": label} for number, label in enumerate(labels)]
    return lambda path: (path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def _text(name: str, text: str | bytes) -> Make:
    return lambda path: (path / name).write_bytes(text.encode() if isinstance(text, str) else text)


def _rows(count: int, text: str = "text number {}", label: str = "ab") -> str:
    return "".join(f"{text.format(i)},{label[i % len(label)]}\n" for i in range(count))


def _nan_in_parquet(path: Path) -> None:
    labels = [float("nan") if number == 3 else float(number % 2) for number in range(30)]
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(30)], "label": labels}), path / "a.parquet")


def _bad_row_seven(path: Path) -> None:
    lines = f"text,label\n{_rows(30)}".encode().split(b"\n")
    (path / "a.csv").write_bytes(b"\n".join([*lines[:6], b"caf\xe9 and more,a", *lines[7:]]))


def _folder_without_classes(path: Path) -> None:
    (path / "a").mkdir()
    (path / "a" / "one.txt").write_text("a text")


DATA: dict[str, tuple[str, Make, str, str]] = {
    "no file": ("a.csv", lambda path: write_table(path / "b.csv"), "no-file", "did you mean b.csv"),
    "no file at all": ("x/y.csv", lambda _: None, "no-file", "there is no directory x"),
    "a name too long": ("x" * 300 + ".csv", lambda _: None, "storage", "name too long"),
    "a folder without classes": ("a", _folder_without_classes, "no-class-folders", "one.txt"),
    "an empty folder": ("a", lambda path: (path / "a").mkdir(), "no-class-folders", "one directory for each"),
    "an empty file": ("a.csv", _text("a.csv", ""), "empty-file", "a.csv"),
    "a header only": ("a.csv", _text("a.csv", "text,label\n"), "no-rows", "a.csv"),
    "one class": ("a.csv", _text("a.csv", f"text,label\n{_rows(30, label='a')}"), "one-class", "a.csv:2"),
    "one text": ("a.csv", _text("a.csv", f"text,label\n{_rows(30, 'same')}"), "all-duplicates", "a.csv:2"),
    "invalid UTF-8": ("a.csv", _bad_row_seven, "bad-encoding", "a.csv:7"),
    "NaN": ("a.jsonl", _jsonl("a.jsonl", ["a", "b", float("nan"), *"ab" * 9]), "bad-json", "a.jsonl:3"),
    "null": ("a.jsonl", _jsonl("a.jsonl", ["a", "b", None, *"ab" * 9]), "missing-label", "a.jsonl:3"),
    "NaN in Parquet": ("a.parquet", _nan_in_parquet, "missing-label", "a.parquet:4"),
    "two labels": ("a.jsonl", _jsonl("a.jsonl", [["a", "b"], *"ab" * 9]), "several-labels", "a.jsonl:1"),
    "a pipe": ("a.csv", lambda path: os.mkfifo(path / "a.csv"), "unknown-format", "a.csv"),
    "a picture": ("a.png", _text("a.png", b"\x89PNG\r\n"), "unknown-format", "a.png"),
    "no Parquet": ("a.parquet", _text("a.parquet", "text,label\n"), "bad-parquet", "a.parquet"),
    "no gzip": ("a.csv.gz", _text("a.csv.gz", "text,label\n"), "bad-compression", "a.csv.gz"),
}


def _listing(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


@pytest.mark.parametrize("name", DATA)
def test_data(cli: Cli, tmp_path: Path, name: str) -> None:
    file, make, code, said_too = DATA[name]
    make(tmp_path)
    before = _listing(tmp_path)
    assert said_too in cli("train", file).refused(code).err
    assert _listing(tmp_path) == before


def test_a_check_fails_with_exit_code_3_where_the_data_can_be_read(
    cli: Cli, tmp_path: Path, tiny_base: Path
) -> None:
    DATA["one class"][1](tmp_path)
    cli("check", "a.csv", "--base", tiny_base).refused("one-class", exit_code=3)
    cli("check", "b.csv", "--base", tiny_base).refused("no-file")


@pytest.mark.parametrize("flag", ["--text-column", "--label-column"])
def test_a_column_that_is_not_there(cli: Cli, tmp_path: Path, flag: str) -> None:
    write_table(tmp_path / "a.csv")
    said = cli("train", "a.csv", flag, "labels").refused("no-column")
    assert "label" in said.err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_50_mb_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    head, tail = {"a.csv": (b"text,label\n", b",a\n"), "a.jsonl": (b'{"text":"', b'","label":"a"}\n')}[name]
    (tmp_path / name).write_bytes(head + b"x" * 50_000_000 + tail)
    peaks = []
    for file in ("absent.csv", name):
        code = (
            f"from tunesmith.cli.main import app\ntry:\n    app(['train', '{file}'])\nfinally:\n"
            "    print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment()
        )
        assert done.returncode == 1, done.stderr
        peaks.append(int(done.stdout) / 1024)
    assert "line-too-long" in done.stderr
    assert f"{name}:{2 if name == 'a.csv' else 1}" in done.stderr
    assert peaks[1] - peaks[0] < 45, "MB"


def _as_any_user() -> None:
    """Between fork and exec: take from root what lets it read and write everything."""
    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def _denied(words: str, directory: Path) -> Finished:
    done = subprocess.run(
        [*TUNESMITH, *words.split()],
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment(),
        preexec_fn=_as_any_user if os.geteuid() == 0 else None,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="rights are taken from root as Linux has it")
@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("train shut.csv", "shut.csv"),
        ("train shut/a.csv", "shut"),
        ("train open.csv --out shut/run", "shut"),
        ("train open.csv --task shut.csv", "shut.csv"),
        ("train open.csv --base shut", "shut"),
        ("init open.csv", "task.yaml"),
        ("check open.csv --fix new.csv", "new.csv"),
        ("predict shut text", "shut"),
    ],
)
def test_what_may_not_be_read_or_written(tmp_path: Path, words: str, where: str) -> None:
    write_table(tmp_path / "open.csv")
    write_table(tmp_path / "shut.csv").chmod(0o000)
    (tmp_path / "shut").mkdir(mode=0o000)
    tmp_path.chmod(0o555)
    try:
        assert where in _denied(words, tmp_path).refused("no-permission").err
    finally:
        tmp_path.chmod(0o755)
        (tmp_path / "shut").chmod(0o755)


CONFIGS: dict[str, tuple[str, str | bytes, str, int, str]] = {
    "unknown key": ("recipe", "seed: 1\nlerning_rate: 1\n", "unknown-key", 2, "`learning_rate`"),
    "bad value": ("recipe", "epochs: 1\n\nseed: many\n", "bad-value", 3, "'many'"),
    "out of range": ("recipe", "validation_fraction: 0.9\n", "bad-value", 1, "0.9"),
    "a date": ("recipe", "epochs: 2026-13-45\n", "bad-value", 1, "2026-13-45"),
    "no YAML": ("recipe", "seed: 1\nepochs: [1\n", "bad-yaml", 3, ""),
    "no UTF-8": ("recipe", b"seed: 1 # \xff\n", "bad-yaml", 1, ""),
    "no mapping": ("recipe", "- seed\n", "bad-yaml", 1, "mapping"),
    "unknown task key": ("task", "kind: single_label\nlabel_column: x\n", "unknown-key", 2, ""),
    "another kind": ("task", "kind: regression\n", "bad-value", 1, "single_label"),
    "a label twice": ("task", "labels:\n  - a\n  - b\n  - a\n", "bad-value", 1, "twice"),
    "one label": ("task", "labels: [a]\n", "bad-value", 1, "two labels"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_task_and_recipe_files(cli: Cli, tmp_path: Path, name: str) -> None:
    kind, text, code, line, said_too = CONFIGS[name]
    write_table(tmp_path / "a.csv")
    _text("a.yaml", text)(tmp_path)
    said = cli("train", "a.csv", f"--{kind}", "a.yaml").refused(code)
    assert f"a.yaml:{line}" in said.err
    assert said_too in said.err
    assert not (tmp_path / "runs").exists()


def test_all_faults_of_a_recipe_at_once(cli: Cli, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv")
    said = cli("train", "a.csv", "--set", "lerning_rate=1", "--set", "epochs=no", "--seed", "-1")
    said.refused("bad-value", "bad-value", "unknown-key")
    assert "did you mean `learning_rate`?" in said.err


@pytest.mark.parametrize("base", ["./absent", "no such name", "../x", "", "a.csv", "x" * 300, "."])
def test_a_base_that_is_none_is_told_before_the_data_is_read(cli: Cli, tmp_path: Path, base: str) -> None:
    write_table(tmp_path / "a.csv")
    said = cli("train", "a.csv", "--base", base)
    assert "Reading" not in said.err
    said.refused("storage" if len(base) > 99 else "no-base")


def test_a_hub_name_without_a_network(cli: Cli, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv")
    said = cli("train", "a.csv", "--base", "openai-community/gpt2").refused("base-unreachable")
    assert "--base embedded" in said.err
    assert not (tmp_path / "runs").exists()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _set_format(path: Path) -> None:
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format": FORMAT + 1}))


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a flipped bit": ("model.safetensors", _flip, "bundle-damaged"),
    "a flipped bit in the tokenizer": ("tokenizer.json", _flip, "bundle-damaged"),
    "a cut file": ("model.safetensors", lambda path: os.truncate(path, 1000), "bundle-damaged"),
    "a lost file": ("task.yaml", Path.unlink, "bundle-damaged"),
    "a file made a directory": ("task.yaml", _make_directory, "bundle-damaged"),
    "a later version": ("manifest.json", _set_format, "bundle-version"),
    "no manifest": ("manifest.json", Path.unlink, "no-bundle"),
    "an empty manifest": ("manifest.json", lambda path: path.write_text(""), "bundle-damaged"),
    "a manifest of no sense": (
        "manifest.json",
        lambda p: p.write_text('{"format": 1, "files": [1]}'),
        "bundle-damaged",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_names_the_file(cli: Cli, finished: Path, tmp_path: Path, name: str) -> None:
    file, damage, code = DAMAGES[name]
    shutil.copytree(finished / "model", tmp_path / "model")
    damage(tmp_path / "model" / file)
    said = cli("predict", "model", "a text").refused(code)
    assert code == "no-bundle" or f"model/{file}" in said.err
    assert said.out == ""


@pytest.mark.parametrize("verb", ["predict", "report", "serve", "evaluate"])
def test_what_is_no_model(cli: Cli, tmp_path: Path, verb: str) -> None:
    more = [write_table(tmp_path / "a.csv").name] if verb == "evaluate" else []
    cli(verb, "absent", *more).refused("no-bundle")
    cli(verb, "a.csv", *more).refused("no-bundle")


def test_labels_that_the_model_does_not_know(cli: Cli, finished: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", label=lambda i: ("sports", "weather")[i % 2])
    said = cli("evaluate", finished, "a.csv").refused("unknown-label")
    assert "'weather'" in said.err
    assert "and 29 more rows" in said.err


def test_a_table_that_was_scored_before(cli: Cli, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,predicted_label\nsome text,a\n")
    cli("predict", finished, "--file", "a.csv", "--out", "b.csv").refused("column-taken")
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize(
    ("out", "code"), [("b.xlsx", "unknown-format"), ("a.csv", "exists"), ("c/b.csv", "storage")]
)
def test_a_table_that_cannot_be_written(
    cli: Cli, finished: Path, tmp_path: Path, out: str, code: str
) -> None:
    write_table(tmp_path / "a.csv")
    (tmp_path / "c").write_text("a file")
    cli("predict", finished, "--file", "a.csv", "--out", out).refused(code)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "c"}


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda _: None, "nothing-to-resume"),
        (lambda path: (path / "run.json").write_text('{"done": true}'), "nothing-to-resume"),
        (lambda path: (path / "run.json").write_text("[]"), "nothing-to-resume"),
        (lambda path: (path / "run.json").write_text("{"), "bad-json"),
    ],
)
def test_nothing_to_resume_is_told_before_the_data_is_read(
    cli: Cli, tmp_path: Path, make: Make, code: str
) -> None:
    write_table(tmp_path / "a.csv")
    (tmp_path / "run").mkdir()
    make(tmp_path / "run")
    said = cli("train", "a.csv", "--out", "run", "--resume").refused(code)
    assert "Reading" not in said.err


def test_a_finished_run_is_not_resumed_and_not_replaced_unasked(cli: Cli, finished: Path) -> None:
    before = _listing(finished)
    cli("train", finished.parent / "news.csv", "--out", finished, "--resume").refused("nothing-to-resume")
    cli("train", finished.parent / "news.csv", "--out", finished).refused("exists")
    cli("report", finished, "--html", finished / "report.html").refused("exists")
    cli("init", finished.parent / "news.csv", "--out", finished / "run.json").refused("exists")
    cli("check", finished.parent / "news.csv", "--fix", finished.parent / "news.csv").refused("exists")
    # before the data is looked at, which may take long
    cli("check", "no-such.csv", "--page", finished / "report.html").refused("exists")
    assert _listing(finished) == before
