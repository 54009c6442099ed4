"""scikit-learn's own checks of estimators.

They give rows of numbers, which a text classifier refuses; so its tags leave only checks of its constructor.
All others are run on an estimator that differs in one thing: it writes the numbers of a row as letters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.validation import validate_data

from tunesmith.sklearn import GPTClassifier

# one step on all rows, without chance: most checks ask for no more
QUICK: dict[str, Any] = {
    "epochs": 1,
    "batch_tokens": 1_000_000,
    "target_replication": 0.0,
    "token_dropout": 0.0,
    "validation_fraction": 0.0,
}
# what learns enough for a check of how much is learned
LEARNS: dict[str, Any] = {"learning_rate": 0.03, "batch_tokens": 30}

FAIL = {
    "check_sample_weight_equivalence_on_dense_data": (
        "AdamW's steps follow the signs of gradients in fp32, which the order of the rows rounds otherwise: "
        "equal to a thousandth and not to a billionth, see test_sklearn.py"
    ),
}


class OfNumbers(GPTClassifier):
    """Reads rows of numbers, a letter each."""

    def _texts(self, given: Any, *, fitting: bool) -> list[str]:
        return ["".join(map(_letter, row)) for row in validate_data(self, given, reset=fitting)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def _letter(value: float) -> str:
    return chr(ord("a") + (round(3 * float(value)) + 13) % 26)


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [OfNumbers(**QUICK)], expected_failed_checks=lambda _: FAIL
)
@pytest.mark.filterwarnings("ignore")
def test_on_numbers(estimator: Any, check: Callable[[Any], None], tiny_base: Any) -> None:
    learns = LEARNS if "check_classifiers_train" in str(check) else {}
    check(clone(estimator).set_params(base=str(tiny_base), **learns))


def test_on_texts(tiny_base: Any) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        checks = list(estimator_checks_generator(GPTClassifier(str(tiny_base))))
    assert [warning.category for warning in warned] == [SkipTestWarning]
    for estimator, check in checks:
        check(estimator)
    assert checks
