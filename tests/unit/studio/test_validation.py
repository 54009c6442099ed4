"""Training files from strangers: every bad line is named, whatever it holds, in bounded memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.bad_lines import ASSISTANT, BAD, GOOD, MOST, USER, answered, chat
from tunesmith.studio.validation.hyperparameters import as_method, settled
from tunesmith.studio.validation.reading import Reading, read_through
from tunesmith.studio.validation.survey import Survey, labels_taught


def read(*lines: bytes, preferences: bool = False) -> Reading:
    return read_through(io.BytesIO(b"\n".join(lines)), MOST, preferences=preferences)


def test_good_lines_are_counted_whatever_stands_around_them() -> None:
    found = read(
        b"\xef\xbb\xbf" + GOOD + b"\r", b"", answered(weight=1), b"  ", chat(USER, ASSISTANT, tools=[])
    )
    assert (found.survey.examples, found.faults, found.form) == (3, 0, "chat")
    found.close()


def test_each_kind_of_bad_line_is_named_by_its_line() -> None:
    assert len(BAD) >= 40
    lines = [line for bad, _ in BAD.values() for line in (GOOD, bad)]
    found = read(*lines)
    told: dict[int, set[str]] = {}
    found.listed.seek(0)
    for line in found.listed:
        fault = json.loads(line)
        told.setdefault(fault["line"], set()).add(fault["code"])
    expected = {2 * at: {code} for at, (_, code) in enumerate(BAD.values(), 1)}
    assert told == expected
    assert (found.bad_lines, found.survey.examples, len(found.first)) == (len(BAD), len(BAD), 20)
    assert found.many
    found.close()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"prompt": "a"}, "bad-cell"),
        ({"prompt": 1, "completion": "b"}, "bad-cell"),
        ({"prompt": "a", "completion": ["b"]}, "bad-cell"),
        ({"prompt": "a", "completion": "  "}, "empty-completion"),
        ({"prompt": "a", "completion": "b", "c": 1}, "stray-key"),
    ],
)
def test_prompts_and_completions(values: Any, code: str) -> None:
    found = read(json.dumps({"prompt": "", "completion": "x"}).encode(), json.dumps(values).encode())
    assert [(fault.line, fault.code) for fault in found.first] == [(2, code)]
    found.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"input": "a"}, "bad-messages"),
        ({"preferred_output": []}, "bad-messages"),
        ({"preferred_output": [USER]}, "last-not-answer"),
        ({"non_preferred_output": [{**ASSISTANT, "content": ""}]}, "empty-completion"),
        ({"weight": 1}, "stray-key"),
        ({"input": {"messages": [USER], "beta": 1}}, "stray-key"),
    ],
)
def test_preferences(change: Any, code: str) -> None:
    good = {
        "input": {"messages": [USER]},
        "preferred_output": [ASSISTANT],
        "non_preferred_output": [ASSISTANT],
    }
    lines = [json.dumps(good).encode(), json.dumps(good | change).encode()]
    found = read(*lines, preferences=True)
    assert found.survey.examples == 1
    assert [(fault.line, fault.code) for fault in found.first] == [(2, code)]
    found.close()


class _Endless(io.RawIOBase):
    """A file of one line, which is made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._left or next(self._pieces, b"")
        given, self._left = piece[: len(buffer)], piece[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


@pytest.mark.parametrize("kind", ["one line", "bad lines"])
def test_memory_does_not_grow_with_the_file(kind: str) -> None:
    piece = b"a" * (1 << 16) if kind == "one line" else b"a" * 65535 + b"\n"
    pieces = 4096 if kind == "one line" else 512
    file = io.BufferedReader(_Endless(piece for _ in range(pieces)), 1 << 16)
    tracemalloc.start()
    found = read_through(file, MOST)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.bad_lines == (1 if kind == "one line" else 512)
    assert most < 16 << 20
    found.close()


def test_lines_of_nothing_but_faults_cost_no_more_than_others() -> None:
    endless = b'{"messages": [' + b"{}," * 100_000 + b"{}]}"
    found = read(GOOD, endless, chat(*([{}] * 50)))
    assert [(fault.line, fault.code) for fault in found.first[:2]] == [
        (2, "bad-messages"),
        (3, "unknown-role"),
    ]
    assert sum(fault.line == 3 for fault in found.first) == 10
    assert found.faults == 1 + 100
    found.close()


def test_reading_ends_at_the_millionth_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.studio.validation.reading._MOST_FAULTS", 1000)
    found = read(*([b"{}"] * 5000))
    assert found.faults == 1000
    found.close()


def test_reading_can_be_stopped() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        read_through(io.BytesIO(b"\n" * 1000), MOST, go_on=stop)


def survey(*answers: str, system: str = "", prompt: bool = False) -> Survey:
    found = Survey()
    for answer in answers:
        if prompt:
            found.add({"prompt": "a text", "completion": f" {answer}"})
            continue
        before = [{"role": "system", "content": system}] if system else []
        said = [*before, {"role": "user", "content": "a text"}, {"role": "assistant", "content": answer}]
        found.add({"messages": said})
    return found


def test_few_answers_that_repeat_are_labels() -> None:
    for found in (
        survey(*"aabbab" * 2),
        survey(*"aabbab" * 2, system="Sort."),
        survey(*"aabbab", prompt=True),
    ):
        assert labels_taught(found, None) == ("a", "b")
    train = survey(*"aabbab" * 2)
    assert labels_taught(train, survey("a")) == ("a", "b")


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        (survey(*"aaaaaa"), None),
        (survey(*"abcdefgh"), None),
        (survey(*"aaaabb"), None),
        (survey(*(["Yes", "yes"] * 5)), None),
        (survey(*(["a" * 101, "b"] * 5)), None),
        (survey(*(["a\nb", "b"] * 5)), None),
        (survey(*"ababab"), survey("c")),
        (survey(*"ababab", system="Sort."), survey("a")),
        (survey(*(f"label {number % 101}" for number in range(1000))), None),
    ],
)
def test_other_answers_are_written(train: Survey, validation: Survey | None) -> None:
    assert labels_taught(train, validation) == ()


def test_a_conversation_of_several_turns_is_written() -> None:
    found = survey(*"ababab")
    turns = [USER, ASSISTANT, USER, {"role": "assistant", "content": "a"}]
    found.add({"messages": turns})
    assert labels_taught(found, None) == ()


@pytest.mark.parametrize(
    ("examples", "epochs", "batch"),
    [
        (10, 10, 1),
        (1, 25, 1),
        (33, 3, 1),
        (34, 3, 1),
        (100, 3, 3),
        (600, 3, 16),
        (10_000, 2, 16),
        (60_000, 1, 16),
    ],
)
def test_auto_becomes_numbers(examples: int, epochs: int, batch: int) -> None:
    asked = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto"}}}
    for method in ({}, asked):
        found = settled(method, examples)
        assert (found.n_epochs, found.batch_size, found.learning_rate_multiplier) == (epochs, batch, 1.0)
    values = as_method({}, settled({}, examples))["supervised"]["hyperparameters"]
    assert values == {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 1.0}


def test_numbers_that_were_given_stay() -> None:
    given = {"n_epochs": 7, "batch_size": 256, "learning_rate_multiplier": 0.3, "beta": 0.5}
    method = {"type": "dpo", "dpo": {"hyperparameters": given}}
    assert as_method(method, settled(method, 10)) == method
