"""OpenAI fine-tuning rows: conversations, older pairs, and what is neither."""

from __future__ import annotations

import json

import pytest

from tunesmith.data.formats.openai import flattened, text_before_answer
from tunesmith.data.read import read

from ..conftest import Save

SYSTEM = {"role": "system", "content": "Answer with one word."}
USER = {"role": "user", "content": "I loved it"}
ANSWER = {"role": "assistant", "content": " positive \n"}


@pytest.mark.parametrize(
    ("messages", "text", "label"),
    [
        ([SYSTEM, USER, ANSWER], "I loved it", "positive"),
        ([USER, ANSWER], "I loved it", "positive"),
        ([SYSTEM, USER], "I loved it", None),
        (
            [USER, {"role": "assistant", "content": "Why?"}, {"role": "user", "content": "Music"}, ANSWER],
            "user: I loved it\nassistant: Why?\nuser: Music",
            "positive",
        ),
        ([USER, ANSWER, USER], "user: I loved it\nassistant:  positive \n\nuser: I loved it", None),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "parts"}],
                },
                ANSWER,
            ],
            "two\nparts",
            "positive",
        ),
        ([{"role": "user", "content": None}, USER, ANSWER], "I loved it", "positive"),
        ([], "", None),
        ([17, None], "", None),
    ],
)
def test_a_conversation_becomes_text_and_label(messages: list[object], text: str, label: str | None) -> None:
    cells = flattened({"messages": messages, "id": 7})
    assert cells == {"messages": messages, "id": 7, "text": text, "label": label}


def test_an_older_pair_becomes_text_and_label() -> None:
    cells = flattened({"prompt": "I loved it ->", "completion": " positive\n"})
    assert (cells["text"], cells["label"]) == ("I loved it ->", "positive")


@pytest.mark.parametrize(
    "values",
    [{"text": "a", "messages": []}, {"prompt": "a"}, {"prompt": 1, "completion": 2}, {"messages": "a"}, {}],
)
def test_other_rows_stay_as_they_are(values: dict[str, object]) -> None:
    assert flattened(values) == values


def test_a_chat_file_is_read(save: Save) -> None:
    rows = [
        {"messages": [SYSTEM, USER, {"role": "assistant", "content": label}]}
        for label in ("yes", "no", "yes")
    ]
    dataset = read(save("chat.jsonl", "\n".join(map(json.dumps, rows))))
    assert dataset.targets == ["yes", "no", "yes"]
    assert dataset.task.labels == ("no", "yes")
    assert dataset[0].text == "I loved it"


def test_the_original_columns_can_still_be_named(save: Save) -> None:
    path = save("a.jsonl", '{"prompt": "a", "completion": " x"}\n{"prompt": "b", "completion": " y"}\n')
    assert read(path).targets == ["x", "y"]
    assert read(path, text_column="prompt", label_column="completion").targets == [" x", " y"]


def test_of_a_row_of_preferences_the_preferred_answer_can_be_learned_alone(save: Save) -> None:
    def row(number: int) -> dict[str, object]:
        answer = {"role": "assistant", "content": f"A long and friendly answer about question {number}."}
        return {
            "input": {"messages": [SYSTEM, {"role": "user", "content": f"question {number}?"}], "tools": []},
            "preferred_output": [answer],
            "non_preferred_output": [{"role": "assistant", "content": f"No {number}."}],
        }

    dataset = read(
        save("a.jsonl", "".join(json.dumps(row(number)) + "\n" for number in range(30))), kind="chat"
    )
    assert not dataset.problems
    assert "friendly answer about question 3" in dataset[3].text
    assert not any("No 3." in row.text for row in dataset)
    labels = [
        {**row(n), "preferred_output": [{"role": "assistant", "content": f"{n % 2}"}]} for n in range(30)
    ]
    dataset = read(save("b.jsonl", "".join(json.dumps(each) + "\n" for each in labels)), kind="single_label")
    assert dataset.task.labels == ("0", "1")
    assert dataset[1].text == "question 1?"


def test_a_question_reads_as_the_row_that_answers_it(save: Save) -> None:
    turns = [USER, {"role": "assistant", "content": "good"}, {"role": "user", "content": "and the end?"}]
    said = [[SYSTEM, USER], [USER, {"role": "assistant", "content": "good"}], turns, [SYSTEM, *turns]]
    answer = {"role": "assistant", "content": "good"}
    lines = [json.dumps({"messages": [*messages, answer]}) + "\n" for messages in said]
    dataset = read(save("a.jsonl", "".join(lines)), text_column="text", label_column="label")
    assert [text_before_answer(messages) for messages in said] == [row.text for row in dataset]
