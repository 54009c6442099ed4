"""OpenAI fine-tuning rows: conversations, older pairs, and what is neither."""

from __future__ import annotations

import json

import pytest

from tunesmith.data.formats.openai import flattened
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
