"""The verbs at their work."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.conftest import LABELS, Cli, write_table
from tunesmith.bundle import open_bundle
from tunesmith.config import read_config
from tunesmith.task import Task


def test_training_tells_what_it_does_and_what_next(workshop: Path, finished: Path) -> None:
    said = Cli(workshop)("report", "run").good()
    assert "macro-F1" in said.out
    assert "TF-IDF + LR" in said.out
    assert json.loads((finished / "run.json").read_text("utf-8"))["done"]
    assert (finished / "metrics.jsonl").read_text("utf-8").count("macro_f1") == 2
    assert (finished / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert not (finished / "checkpoints").exists()


def test_labels_with_commas_and_emoji_survive(workshop: Path, finished: Path) -> None:
    cli = Cli(workshop)
    assert open_bundle(finished / "model").task.labels == tuple(sorted(LABELS))
    said = cli(
        "predict", "run", "--json", "--top", "2", stdin="the striker scored\n\nthe minister lost\n"
    ).good()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert len(answers) == 2
    assert {score["label"] for score in answers[0]["scores"]} == set(LABELS)
    cli("predict", "run", "--file", "news.csv", "--out", "scored.csv").good()
    with (workshop / "scored.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == set(LABELS)
    assert {row["predicted_label"] for row in rows} <= set(LABELS)
    report = json.loads(
        cli(
            *("evaluate", "run", "news.csv", "--train", "news.csv", "--rival-seconds", "60"),
            *("--json", "--html", "e.html"),
        )
        .good()
        .out
    )
    assert set(report["labels"]) == set(LABELS)
    assert report["rows"] == 60
    ran = [rival["name"] for rival in report["rivals"]]
    assert ran[:3] == ["majority", "TF-IDF + LR", "n-grams"]
    left_out = [rival["name"] for rival in report["not_run"]]
    assert {*ran[3:], *left_out} == {"probe", "zero-shot", "few-shot"}
    right = sum(row["label"] == row["predicted_label"] for row in rows)
    assert report["metrics"]["accuracy"] == pytest.approx(right / 60)
    assert "⚖️ politics, law" in (workshop / "e.html").read_text("utf-8")


def test_texts_that_are_no_characters_are_answered(workshop: Path, finished: Path) -> None:
    said = Cli(workshop)("predict", "run", stdin=b"\xef\xbb\xbfcaf\xe9\n\0\ngoal\r\n").good()
    assert len(said.out.splitlines()) == 3


def test_from_init_to_train(workshop: Path) -> None:
    cli = Cli(workshop)
    table = workshop / "odd.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        rows = [
            [n, f"text number {n} of {'war' if n % 2 else 'peace'}", ("no", "007")[n % 2]] for n in range(60)
        ]
        csv.writer(stream).writerows([["id", "said", "answer"], *rows])
    said = cli("init", "odd.csv", "--text-column", "said", "--label-column", "answer").good()
    assert "tunesmith train odd.csv --task task.yaml" in said.err
    written = read_config(workshop / "task.yaml", Task)
    assert written == Task(labels=("007", "no"), text_column="said", target_column="answer")
    words = ("--task", "task.yaml", "--base", "base", "--epochs", "1", "--json")
    report = json.loads(cli("train", "odd.csv", *words).good().out)
    assert report["labels"] == ["007", "no"]
    assert open_bundle(workshop / "runs" / "odd" / "model").task == written


def test_from_check_to_train(workshop: Path) -> None:
    cli = Cli(workshop)
    table = write_table(workshop / "faulty.csv")
    with table.open("ab") as stream:
        stream.write(
            b"caf\xe9 text,sports\n,sports\nno label,\n the striker scored a late goal 0 rounds in ,sports\n"
        )
    said = cli("train", "faulty.csv", "--base", "base")
    assert said.code == 1
    said = cli("check", "faulty.csv", "--base", "base")
    assert said.code == 3
    assert "tokens a text: median" in said.out
    assert "⚖️ politics, law" in said.out
    said = cli("check", "faulty.csv", "--base", "base", "--fix", "mended.parquet", "--json").good()
    report = json.loads(said.out)
    assert report["ok"]
    assert report["rows"] == 61
    assert report["token_lengths"]["longest"] > 5
    assert "mended data: mended.parquet" in said.err
    cli("train", "mended.parquet", "--base", "base", "--epochs", "1", "--out", "mended").good()


def test_from_init_to_check_of_what_is_to_be_written(workshop: Path) -> None:
    cli = Cli(workshop)
    turns = [("user", "is {} a goal"), ("assistant", "it is the goal number {} that the striker scored")]
    chats = [[{"role": role, "content": text.format(n)} for role, text in turns] for n in range(12)]
    lines = [json.dumps({"messages": chat}) for chat in [*chats, chats[0], chats[1][:1]]]
    (workshop / "chat.jsonl").write_text("\n".join(lines), "utf-8")
    said = cli("init", "chat.jsonl", "--out", "chat.yaml").good()
    assert "conversations are read from" in said.err
    written = read_config(workshop / "chat.yaml", Task)
    assert written == Task(kind="chat", text_column="messages")
    words = ("--task", "chat.yaml", "--base", "base")
    cli("check", "chat.jsonl", *words).refused("no-answer", exit_code=3)
    said = cli("check", "chat.jsonl", *words, "--fix", "mended.csv").good()
    assert "12 rows" in said.out
    assert "tokens a text: median" in said.out
    report = json.loads(cli("check", "mended.csv", "--kind", "chat", "--base", "base", "--json").good().out)
    assert (report["ok"], report["rows"], report["duplicates"]) == (True, 12, 0)


def test_doctor(cli: Cli) -> None:
    facts = json.loads(cli("doctor", "--json", HF_ENDPOINT="http://[").good().out)
    assert facts["threads"] == 1
    assert facts["device"].startswith(("cpu", "cuda", "mps"))
    assert facts["hub_reachable"] is False
    assert facts["memory_gib"] > 0


def test_a_query_is_checked_as_a_file_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "news.db") as connection:
        connection.execute("create table news (body text, topic text)")
        rows = [(f"{word} number {n}", word) for word in ("goal", "vote") for n in range(12)]
        connection.executemany("insert into news values (?, ?)", rows)
    connection.close()
    cli = Cli(tmp_path)
    query = "select body as text, topic as label from news"
    said = cli("check", "--sql", query, "--dsn", "sqlite:///news.db", "--json").good()
    assert json.loads(said.out)["label_counts"] == {"goal": 12, "vote": 12}
    (tmp_path / "news.sql").write_text(query, encoding="utf-8")
    again = cli("check", "news.sql", "--dsn", "sqlite:///news.db", "--json").good()
    assert json.loads(again.out)["label_counts"] == {"goal": 12, "vote": 12}
    assert "no-dsn" in cli("check", "news.sql").err
    assert "either DATA or --sql" in cli("check").err


def test_a_pipeline_stops_where_the_bar_is_not_reached(workshop: Path, finished: Path) -> None:
    cli = Cli(workshop)
    (workshop / "low.yaml").write_text("bar:\n  macro_f1: 0.0\n", encoding="utf-8")
    (workshop / "high.yaml").write_text("bar:\n  max_ms: 0.0001\n  beats: tfidf\n", encoding="utf-8")
    said = cli("evaluate", "run", "news.csv", "--bar", "--task", "low.yaml").good()
    assert "GO (" in said.out
    missed = cli("evaluate", "run", "news.csv", "--bar", "--task", "high.yaml", "--json")
    assert missed.code == 3
    verdict = json.loads(missed.out)["verdict"]
    assert verdict["go"] is False
    assert (
        verdict["sentences"][0]
        == "Not reached: tfidf was not compared with: there was no training data for rivals."
    )
    assert "no-bar" in cli("evaluate", "run", "news.csv", "--bar").err
