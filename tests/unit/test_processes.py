"""One process alone, and what needs no other; two together are tried in tests/integration."""

from __future__ import annotations

import pytest
import torch

from tunesmith.errors import DataError, Problem, ProcessError
from tunesmith.processes import ALONE, Processes


def _fail() -> None:
    raise DataError(Problem("empty", "nothing is there", "a.csv", "fill it"))


def test_one_alone_settles_everything_with_itself() -> None:
    tensor = torch.ones(2)
    ALONE.add_up([tensor])
    assert tensor.tolist() == [1, 1]
    assert ALONE.gather([1, 2]).tolist() == [[1, 2]]
    assert ALONE.send(tensor) is tensor
    assert list(ALONE.turns("ab")) == [("a", True), ("b", True)]
    assert ALONE.texts("x") == ["x"]
    assert ALONE.from_main(lambda: object) is object, "nothing is turned into JSON"
    assert ALONE.together(lambda: 3) == 3
    ALONE.agree(None)
    ALONE.leave()


@pytest.mark.parametrize("run", [ALONE.together, ALONE.from_main])
def test_one_alone_raises_what_it_is(run: object) -> None:
    with pytest.raises(DataError) as caught:
        run(_fail)  # type: ignore[operator]
    assert not caught.value.agreed


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_all_get_equally_many_turns_and_each_item_counts_once(count: int) -> None:
    turns = [list(Processes(rank, count).turns("abcde")) for rank in range(count)]
    assert len({len(each) for each in turns}) == 1
    assert sorted(item for each in turns for item, counts in each if counts) == list("abcde")


def test_a_lost_process_is_told_with_a_remedy() -> None:
    with pytest.raises(ProcessError) as caught, Processes(1, 2).lost():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer\nmore")
    [problem] = caught.value.problems
    assert problem.code == "process-lost"
    assert problem.what.endswith("Connection closed by peer")
    assert problem.where == "process 1 of 2"
    assert "--resume" in problem.fix
    assert caught.value.agreed, "the main process tells it, and no other"


@pytest.mark.parametrize(
    ("processes", "words"), [(Processes(0, 2), "a bug of ours"), (ALONE, "gloo says something")]
)
def test_other_errors_stay_what_they_are(processes: Processes, words: str) -> None:
    with pytest.raises(RuntimeError, match=words), processes.lost():
        raise RuntimeError(words)
