from __future__ import annotations

import numpy as np
import pytest

from tunesmith.errors import BaseError, ConfigError
from tunesmith.model.encode import Encoded
from tunesmith.recipe import DataFacts, Method, Recipe, resolve
from tunesmith.training.features import joined
from tunesmith.training.memory import free_bytes
from tunesmith.training.methods import refuse_unfit
from tunesmith.training.qlora import refuse_without_peft, refuse_without_qlora


def _encoded(*rows: list[int]) -> Encoded:
    flat = np.concatenate([np.asarray(row, np.int32) for row in rows])
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Encoded(flat, starts, np.asarray([len(row) > 2 for row in rows]))


def test_joined_texts_are_the_texts_of_both() -> None:
    both = joined(_encoded([1, 2], [3]), _encoded([4, 5, 6], [7]))
    assert [both[row].tolist() for row in range(4)] == [[1, 2], [3], [4, 5, 6], [7]]
    assert both.truncated.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("gpu", "installed", "told"),
    [
        (False, {"peft", "bitsandbytes"}, ["no CUDA GPU", "method: lora"]),
        (True, {"peft"}, ["bitsandbytes is not installed", "tunesmith[qlora]"]),
        (False, set(), ["no CUDA GPU", "bitsandbytes", "peft is not installed", "method: lora"]),
    ],
)
def test_qlora_is_refused_with_every_reason(gpu: bool, installed: set[str], told: list[str]) -> None:
    with pytest.raises(BaseError, match="qlora-unavailable") as caught:
        refuse_without_qlora(lambda: gpu, installed.__contains__)
    (problem,) = caught.value.problems
    assert all(words in str(problem) for words in told)
    assert ("tunesmith[qlora]" in problem.fix) == gpu, "without a GPU there is nothing to install"


def test_adapters_need_their_package() -> None:
    refuse_without_qlora(lambda: True, lambda _: True)
    refuse_without_peft(lambda _: True)
    with pytest.raises(BaseError, match="lora-extra"):
        refuse_without_peft(lambda _: False)


@pytest.mark.parametrize("method", ["head", "head-first", "frozen", "qlora"])
def test_methods_for_one_process_are_refused_in_two(method: Method) -> None:
    recipe = resolve(Recipe(method=method), DataFacts(10, 5, 9, (5, 5), 64, 1000, processes=2))
    with pytest.raises(ConfigError, match="one-process") as caught:
        refuse_unfit(recipe, None, 2)
    assert f"`{method}`" in str(caught.value)
    assert "method: lora" in str(caught.value)


def test_memory_is_shared_by_the_processes_of_a_machine() -> None:
    assert 0 < free_bytes(1000) < free_bytes()
