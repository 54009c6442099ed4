from __future__ import annotations

from typing import Any

import pytest

from tunesmith.errors import ConfigError
from tunesmith.scribe.request import OneOf, Request


def test_what_is_wrong_is_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Request(
            messages=[],
            prompt=[],
            choices=0,
            max_new_tokens=-1,
            temperature=float("nan"),
            top_p=0.0,
            seed=-1,
            stop=("", "b" * 1001, "c", "d", "e"),
            presence_penalty=2.1,
            frequency_penalty=float("nan"),
            logit_bias={3: 100.5, 4: -100},
            logprobs=21,
            constraint=OneOf(()),
        )
    problems = caught.value.problems
    assert {problem.code for problem in problems} == {"bad-decoding"}
    begins = [
        "there are messages and a prompt",
        "there are no messages",
        "the prompt has no tokens",
        "choices",
        "max_new_tokens",
        "temperature",
        "top_p",
        "seed",
        "a stop text is empty",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "logit_bias of token 3",
        "there are 5 stop",
        "a stop text has",
        "the answer is to be one of no texts",
    ]
    assert len(problems) == len(begins)
    for problem, begin in zip(problems, begins, strict=True):
        assert problem.what.startswith(begin)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({}, "neither"),
        ({"prompt": "a", "max_new_tokens": 0}, "at least 1"),
        ({"messages": [{"role": "user", "content": "a"}], "echo": True}, "not echoed"),
    ],
)
def test_what_does_not_go_together(asked: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Request(**asked)


def test_bounds_are_allowed() -> None:
    Request(
        prompt="",
        echo=True,
        max_new_tokens=0,
        temperature=0,
        stop=("a", "b", "c", "d" * 1000),
        presence_penalty=-2,
        frequency_penalty=2,
        logit_bias={0: -100, 1: 100},
        logprobs=20,
    )
