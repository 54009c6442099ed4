"""Preferences: which columns hold them, what is wrong with them, and how they are parted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.data.conftest import Refused, Save
from tunesmith.config import parse_values
from tunesmith.data.chat import messages_in, pair_in
from tunesmith.data.check import check
from tunesmith.data.dataset import Dataset
from tunesmith.data.mend import mend
from tunesmith.data.read import read
from tunesmith.data.split import split
from tunesmith.data.write import write_dataset
from tunesmith.errors import ConfigError, Problem
from tunesmith.score.answers import prompt_of
from tunesmith.task import Task


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def openai(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "input": {"messages": [{"role": "system", "content": "Be kind."}, user(f"question {number}")]},
        "preferred_output": [assistant(f"kind {number}")],
        "non_preferred_output": [assistant(f"rude {number}")],
    } | changes


def plain(number: int, **changes: Any) -> dict[str, Any]:
    row = {"prompt": f"question {number}", "chosen": f"kind {number}", "rejected": f"rude {number}"}
    return row | changes


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def problems(dataset: Dataset) -> dict[str, Problem]:
    return {problem.code: problem for problem in check(dataset).problems}


def row_of(dataset: Dataset, row: int) -> tuple[Any, Any, Any]:
    found = dataset[row]
    return messages_in(found.text), *pair_in(str(found.target))


def test_openais_rows_are_pairs_and_may_still_be_read_as_chats(save: Save) -> None:
    path = save("a.jsonl", lines(*map(openai, range(12))))
    dataset = read(path)
    assert dataset.task.kind == "preference"
    assert (dataset.task.text_column, dataset.task.target_column) == ("input", "preferred_output")
    assert dataset.task.rejected_column == "non_preferred_output"
    assert row_of(dataset, 3) == (
        openai(3)["input"]["messages"],
        [assistant("kind 3")],
        [assistant("rude 3")],
    )
    assert check(dataset).ok
    assert read(path, kind="chat").targets[3] == "kind 3"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompt": [user("question 0")]},
        {"chosen": [assistant("kind 0")], "rejected": json.dumps([assistant("rude 0")])},
        # as many sets have them: with the prompt repeated before each answer
        {
            "chosen": [user("question 0"), assistant("kind 0")],
            "rejected": [user("question 0"), assistant("rude 0")],
        },
        {"chosen": [assistant("kind 0") | {"weight": 0}]},
    ],
)
def test_prompts_and_answers_are_texts_or_messages(save: Save, changes: dict[str, Any]) -> None:
    dataset = read(save("a.jsonl", lines(plain(0, **changes))))
    assert row_of(dataset, 0) == ([user("question 0")], [assistant("kind 0")], [assistant("rude 0")])


def test_columns_of_other_names(save: Save, refused: Refused) -> None:
    path = save("a.csv", "ask,good,bad\nwho,me,you\n")
    task = Task(kind="preference", text_column="ask", target_column="good", rejected_column="bad")
    assert row_of(read(path, task), 0)[2] == [assistant("you")]
    assert refused(lambda: read(path, kind="preference")).code == "no-column"
    absent = task.model_copy(update={"rejected_column": "worse"})
    assert '"worse"' in refused(lambda: read(path, absent)).what
    with pytest.raises(ConfigError):
        parse_values({"kind": "chat", "rejected_column": "bad"}, Task, "task.yaml")


def test_a_label_that_is_named_stays_a_label(save: Save) -> None:
    path = save("a.jsonl", lines(*[plain(n, mood="good" if n % 2 else "bad") for n in range(12)]))
    assert read(path, label_column="mood").task.kind == "single_label"
    assert read(path, text_column="prompt", label_column="chosen").task.kind == "preference"


def test_rows_of_preferences_are_prompts_when_a_model_is_asked(save: Save) -> None:
    dataset = read(save("a.jsonl", lines(*map(openai, range(3)))))
    for cell in (openai(1)["input"], json.dumps(openai(1)["input"]), openai(1)["input"]["messages"]):
        assert messages_in(prompt_of(cell, dataset.task)) == openai(1)["input"]["messages"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chosen": ""}, "no-answer"),
        ({"rejected": []}, "no-answer"),
        ({"rejected": "kind 1"}, "equal-answers"),
        ({"rejected": " \n"}, "empty-completion"),
        ({"chosen": [user("me")]}, "not-an-answer"),
        ({"chosen": [assistant("a"), {"role": "tool", "content": "b"}]}, "not-an-answer"),
        ({"prompt": [{"role": "human", "content": "a"}]}, "unknown-role"),
        ({"chosen": [{"role": "assistant", "content": None}]}, "bad-content"),
        ({"prompt": {"a": 1}}, "bad-cell"),
    ],
)
def test_a_row_that_is_no_preference_is_told_with_its_line(
    save: Save, changes: dict[str, Any], code: str
) -> None:
    path = save("a.jsonl", lines(plain(0), plain(1, **changes), plain(2)))
    found = problems(read(path, kind="preference"))[code]
    assert found.severity == "error"
    assert found.where.startswith(f"{path}:2")
    lenient = read(path, kind="preference", lenient=True)
    assert len(lenient) == 2
    assert problems(lenient)[code].severity == "warning"


def test_what_repeats_and_what_contradicts(save: Save) -> None:
    turned = plain(1, chosen="rude 1", rejected="kind 1")
    another = plain(2, chosen="kinder still")
    found = problems(read(save("a.jsonl", lines(*map(plain, range(12)), plain(0), turned, another))))
    assert found["duplicates"].count == 1
    assert found["duplicates"].where.startswith(str(save("a.jsonl", "")) + ":13")
    assert found["opposed-preferences"].count == 2
    # one prompt may have several pairs
    assert "several-completions" not in found


def test_prompts_are_looked_at(save: Save) -> None:
    late = [user("a"), {"role": "system", "content": "b"}, user("c")]
    found = problems(read(save("a.jsonl", lines(plain(0, prompt=""), plain(1, prompt=late)))))
    assert {"empty-prompt", "system-not-first"} <= found.keys()


def test_pairs_of_one_prompt_never_part(save: Save) -> None:
    rows = [plain(n, prompt=f"Question {n % 20}") for n in range(60)]
    splits = split(read(save("a.jsonl", lines(*rows))), seed=0, validation_fraction=0.2, test_fraction=0.2)
    prompts = [{row.text for row in part} for part in (splits.train, splits.validation, splits.test)]
    assert all(prompts)
    assert len(set.union(*prompts)) == sum(map(len, prompts))


def test_a_prompt_that_stands_in_a_test_file_too_is_told(save: Save) -> None:
    train = read(save("a.jsonl", lines(*map(plain, range(12)))))
    test = read(save("b.jsonl", lines(plain(3, prompt="QUESTION 3"))), train.task)
    assert check(train, held_out={"test": test}).leaks == 1


@pytest.mark.parametrize("make", [plain, openai])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_what_is_written_is_read_again(make: Any, suffix: str, save: Save, tmp_path: Path) -> None:
    dataset = read(save("a.jsonl", lines(*[make(n) for n in (0, 1, 2, 0)])))
    mended, done = mend(dataset)
    assert len(mended) == 3
    assert len(done) == 1
    path = tmp_path / f"mended.{suffix}"
    write_dataset(path, mended)
    assert read(path, mended.task).sha256 == mended.sha256


def test_tools_are_left_out_aloud(save: Save) -> None:
    row = openai(0)
    row["input"]["tools"] = [{"type": "function"}]
    assert problems(read(save("a.jsonl", lines(row))))["tools-left-out"].severity == "warning"
