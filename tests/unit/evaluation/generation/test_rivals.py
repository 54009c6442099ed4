"""Rivals of a model that writes: what they answer, and when they have nothing to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.unit.evaluation.generation.conftest import questions
from tunesmith.data.chat import as_row_text
from tunesmith.data.dataset import dataset_of
from tunesmith.evaluation.generation.questions import Conversation, Questions, questions_of
from tunesmith.evaluation.generation.rivals import (
    COMMONEST,
    COPY,
    FIRST_SENTENCE,
    NEAREST,
    UNTUNED,
    Untuned,
    WritingRival,
    run_generation_rivals,
)
from tunesmith.task import Task


def asked(prompts: Sequence[str], references: Sequence[str], **more: Any) -> Questions:
    where = [f"a.csv:{index}" for index in range(len(prompts))]
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return Questions(
        **{"kind": "completion", "prompts": prompts, "references": references, "where": where}
        | {"conversations": conversations}
        | more
    )


def rivals(train: Questions, test: Questions, **more: Any) -> dict[str, WritingRival]:
    return {rival.name: rival for rival in run_generation_rivals(train, test, 0, **more)}


TRAIN = asked(
    ["red apples taste sweet", "green cars drive fast", "blue cars drive slowly"], ["fruit", "car", "car "]
)
TEST = asked(["Sweet red apples. They are good!", "a slowly driven car"], ["fruit", "car"])


def test_what_they_answer() -> None:
    found = rivals(TRAIN, TEST)
    assert list(found) == [NEAREST, COMMONEST, COPY, FIRST_SENTENCE]
    assert found[NEAREST].answers == ("fruit", "car ")
    assert found[COMMONEST].answers == ("car", "car")
    assert found[COPY].answers == tuple(TEST.prompts)
    assert found[FIRST_SENTENCE].answers == ("Sweet red apples.", "a slowly driven car")


def test_their_cost_is_measured() -> None:
    found = rivals(TRAIN, TEST, clock=map(float, count()).__next__)
    assert found[NEAREST].train_seconds == 1
    assert {rival.milliseconds_per_text for rival in found.values()} == {500.0}


def test_those_that_make_no_sense_stay_away() -> None:
    different = asked(["one", "two"], ["a", "b"])
    assert list(rivals(different, asked(["one"], ["a"]))) == [NEAREST, COPY]
    assert list(rivals(asked(["", " "], ["a", "a"]), asked(["one"], ["a"]))) == [COMMONEST, COPY]
    assert list(rivals(asked([], []), asked(["one"], ["a"]))) == [COPY]


class Base:
    """A model that notes what it was asked."""

    def __init__(self) -> None:
        self.heard: list[Sequence[Conversation]] = []

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        self.heard.append(conversations)
        return [f"answer {index}" for index in range(len(conversations))]


def test_the_untuned_base_is_asked_as_it_is_and_after_examples() -> None:
    base = Base()
    system = [{"role": "system", "content": "be brief"}]
    test = replace(TEST, conversations=[[*system, *said] for said in TEST.conversations])
    train = replace(TRAIN, conversations=[[*system, *said] for said in TRAIN.conversations])
    found = rivals(train, test, untuned=Untuned(base, {"perplexity": 9.0}, shots=2))
    assert list(found)[:2] == [UNTUNED, "untuned 2-shot"]
    assert found[UNTUNED].answers == ("answer 0", "answer 1")
    assert found[UNTUNED].token_figures == {"perplexity": 9.0}
    assert base.heard[0] == test.conversations
    roles = [message["role"] for message in base.heard[1][0]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert base.heard[1][0][-1] == TEST.conversations[0][0]
    answers = {message["content"] for message in base.heard[1][1] if message["role"] == "assistant"}
    assert answers <= set(TRAIN.references)


def test_examples_must_be_short_enough_together() -> None:
    base = Base()
    rivals(TRAIN, TEST, untuned=Untuned(base, shot_characters=30))
    assert len(base.heard[1][0]) == 3
    rivals(TRAIN, TEST, untuned=Untuned(base, shot_characters=10))
    assert len(base.heard) == 3


def test_of_a_chat_the_last_question_is_copied() -> None:
    said = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "How are you? I am well."},
    ]
    test = asked(["…"], ["fine"], kind="chat", conversations=[said])
    found = rivals(TRAIN, test)
    assert found[COPY].answers == ("How are you? I am well.",)
    assert found[FIRST_SENTENCE].answers == ("How are you?",)
    alone = asked(["…"], ["fine"], kind="chat", conversations=[[{"role": "system", "content": "be kind"}]])
    assert rivals(TRAIN, alone)[COPY].answers == ("…",)


def test_the_draw_follows_the_seed() -> None:
    train, test = questions(50, 0), questions(3, 1)
    first, again, other = (Base() for _ in range(3))
    for base, seed in ((first, 1), (again, 1), (other, 2)):
        run_generation_rivals(train, test, seed, untuned=Untuned(base))
    assert first.heard == again.heard
    assert first.heard[1] != other.heard[1]


def test_questions_of_completions() -> None:
    task = Task(kind="completion", instruction="Add up.")
    found = questions_of(dataset_of(task, ["2+2?", "3+3?"], ["4", "6"], "sums.csv"))
    assert (found.kind, found.prompts, found.references) == ("completion", ["2+2?", "3+3?"], ["4", "6"])
    assert found.where == ["sums.csv:1", "sums.csv:2"]
    assert found.conversations[0] == [
        {"role": "system", "content": "Add up."},
        {"role": "user", "content": "2+2?"},
    ]


def test_questions_of_chats() -> None:
    hello, hi = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}
    again, fine = {"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "Fine."}
    texts = [as_row_text([hello, hi]), as_row_text([hello, hi, again, fine])]
    found = questions_of(dataset_of(Task(kind="chat"), texts, ["Hi!", "Fine."]))
    assert found.prompts == ["Hello", "user: Hello\nassistant: Hi!\nuser: How are you?"]
    assert found.references == ["Hi!", "Fine."]
    assert found.conversations == [[hello], [hello, hi, again]]


def test_a_task_that_gives_labels_asks_nothing() -> None:
    with pytest.raises(AssertionError):
        questions_of(dataset_of(Task(labels=("a", "b")), ["x"], ["a"]))
