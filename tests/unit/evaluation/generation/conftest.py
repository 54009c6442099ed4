"""What the tests of written answers share: questions, a weak and a strong writer, and a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from tunesmith.evaluation.generation.questions import Questions
from tunesmith.evaluation.generation.report import build_generation_report
from tunesmith.evaluation.generation.rivals import Untuned, run_generation_rivals
from tunesmith.evaluation.types import Cost, Report

MakeReport = Callable[..., Report]

CURVES = [
    {"step": 10, "epoch": 1, "train_loss": 3.1, "validation_loss": 2.9, "token_accuracy": 0.41},
    {"step": 20, "epoch": 2, "train_loss": 2.2, "validation_loss": 2.4, "token_accuracy": 0.52},
    {"step": 30, "epoch": 3, "train_loss": 1.7, "validation_loss": 2.5, "token_accuracy": 0.51},
]
FIGURES = {"token_accuracy": 0.52, "perplexity": 11.02, "log_loss": 2.4}
_PLACES = ("the harbour", "the old mill", "the market", "the north gate", "the library")
_DEEDS = ("opened again", "was closed", "burned down", "got a new roof", "was sold to the town")
_WHEN = ("on Monday", "after a long winter", "before the feast", "in spring", "at last")


def questions(rows: int, seed: int, kind: Literal["completion", "chat"] = "completion") -> Questions:
    """News of a small town with a headline each."""
    draw = np.random.default_rng(seed)
    prompts, headlines = [], []
    for index in range(rows):
        place, deed, when = (str(draw.choice(each)) for each in (_PLACES, _DEEDS, _WHEN))
        headlines.append(f"{place[4:].capitalize()} {deed} {when}")
        prompts.append(
            f"It was told that {place} {deed} {when}. {index} people came to see it. They stayed long."
        )
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    where = [f"test.jsonl:{index + 1}" for index in range(rows)]
    return Questions(kind, prompts, headlines, where, conversations)


def written(test: Questions, skill: float, seed: int = 3) -> list[str]:
    """Each word of the reference with a chance of `skill`, else another."""
    draw = np.random.default_rng(seed)
    return [
        " ".join(word if draw.random() < skill else "something" for word in reference.split())
        for reference in test.references
    ]


@pytest.fixture
def make_report() -> MakeReport:
    """A report on made-up answers beside all rivals, unless told otherwise."""

    def build(rows: int = 120, skill: float = 0.9, **given: Any) -> Report:
        test = given.pop("test") if "test" in given else questions(rows, 1)
        if "rivals" not in given:
            untuned = Untuned(lambda asked: ["It was told."] * len(asked), {"perplexity": 40.5})
            given["rivals"] = run_generation_rivals(questions(80, 2), test, 0, untuned=untuned)
        arguments: dict[str, Any] = {
            "test": test,
            "answers": written(test, skill),
            "token_figures": FIGURES,
            "curves": CURVES,
            "cost": Cost(214.0, 34.0),
            "provenance": {"base": "embedded", "split": "said so"},
            "seed": 0,
        }
        return build_generation_report(**arguments | given)

    return build
