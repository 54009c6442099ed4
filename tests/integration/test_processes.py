"""Two processes end where one does, stop together, and tell a fault once: what tests/processes.py saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forked import nursery

ROOT = Path(__file__).parents[2]
PARALLEL = pytest.mark.parametrize("parallel", ["ddp", "fsdp"])

Seen = dict[str, list[dict[str, Any]]]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torch has no FSDP there")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """scenario -> what each of two processes saw of it."""
    directory = tmp_path_factory.mktemp("processes")
    python = str(nursery().python)
    torchrun = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [*torchrun, "--no-python", python, "-m", "tests.processes", str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found: Seen = json.loads((directory / "seen.json").read_text())
    return found


@pytest.mark.parametrize(
    "name", ["gpt2 ddp", "phi ddp", "gpt2 fsdp", "gpt_neox fsdp", "llama fsdp", "phi fsdp"]
)
def test_two_processes_train_as_one(seen: Seen, name: str) -> None:
    first, second = seen[f"same {name}"]
    assert first["losses"] < 1e-5
    assert first["moved"] > 1e-2
    # what is next to nothing in a gradient is a whole step for AdamW
    assert first["weights"] < 1e-2 * first["moved"]
    assert first["digest"] == second["digest"]
    assert not first["is_training"]


@PARALLEL
def test_adapters_are_learned_and_merged_as_by_one(seen: Seen, parallel: str) -> None:
    first, second = seen[f"adapters {parallel}"]
    assert first["weights"] < 1e-5
    assert first["digest"] == second["digest"]


@PARALLEL
def test_what_writes_is_learned_as_by_one(seen: Seen, parallel: str) -> None:
    first, second = seen[f"written {parallel}"]
    assert first["losses"] < 1e-4
    assert first["weights"] < 1e-3
    assert first["digest"] == second["digest"]


def test_preferences_are_learned_as_by_one(seen: Seen) -> None:
    first, second = seen["preferred"]
    assert first["reference"]
    assert second["reference"]
    assert first["margins"] > 0
    assert first["weights"] < 1e-3
    assert first["digest"] == second["digest"]


def test_activations_may_be_computed_twice_where_a_model_is_in_parts(seen: Seen) -> None:
    first, second = seen["computed twice"]
    assert first["weights"] < 1e-3
    assert first["digest"] == second["digest"]


@PARALLEL
def test_one_that_is_stopped_stops_all_and_resuming_is_exact(seen: Seen, parallel: str) -> None:
    for each in seen[f"resumed {parallel}"]:
        assert each["stopped"] == 3
        assert each["resumed"] == each["whole"]
    assert seen[f"resumed {parallel}"][0]["notes"] == [f"going on after step 3 of {each['steps']}"]


def test_a_run_goes_on_with_another_number_of_processes(seen: Seen) -> None:
    first, second = seen["moved on"]
    assert first["one"] < 1e-3
    assert first["copies"] < 1e-3
    assert any(
        note.startswith("this run had 2 processes and goes on with 1 process:") for note in first["notes"]
    )
    assert not any("this run had" in note for note in second["notes"])


def test_memory_that_runs_out_in_one_process_is_halved_in_all(seen: Seen) -> None:
    for each in seen["out of memory"]:
        assert each["refused"] is None
        assert each["weights"] < 1e-3
    [[note], [same]] = [each["notes"] for each in seen["out of memory"]]
    assert "micro-batches hold at most" in note
    assert note == same


def test_a_row_that_fits_nowhere_ends_all(seen: Seen) -> None:
    first, second = seen["out of all memory"]
    assert first["refused"] == second["refused"] == "ConfigError"
    assert first["problems"] == second["problems"]
    assert first["problems"][0][0] == "out-of-memory"
    assert first["agreed"]
    assert second["agreed"]


@PARALLEL
def test_a_loss_that_is_not_finite_ends_all_with_its_rows(seen: Seen, parallel: str) -> None:
    first, second = seen[f"bad loss {parallel}"]
    assert first == second
    assert first["refused"] == "DataError"
    [[code, what, where]] = first["problems"]
    assert code == "bad-loss"
    assert what.startswith("the loss became inf at step ")
    assert "a.csv:7" in where
    assert first["agreed"]
    assert first["saved"] == []


def test_what_the_main_process_cannot_save_ends_all(seen: Seen) -> None:
    first, second = seen["disk"]
    assert first["refused"] == second["refused"] == "StorageError"
    assert first["problems"] == second["problems"]
    assert second["agreed"], "only the main process tells it"


def test_processes_draw_their_dropout_apart(seen: Seen) -> None:
    first, second = (set(each["seeds"]) for each in seen["dropout"])
    assert first
    assert second
    assert not first & second


def test_a_share_each_is_judged_to_the_same_numbers(seen: Seen) -> None:
    assert all(each["equal"] for each in seen["judged"])


def test_early_stopping_goes_by_the_main_process(seen: Seen) -> None:
    first, second = seen["stopped early"]
    assert first == second
    assert first["early"]
    assert first["step"] == 2 * first["best"]


def test_what_processes_settle(seen: Seen) -> None:
    first, second = seen["settled"]
    for each in (first, second):
        assert each["texts"] == ["ü", "üü"]
        assert each["nothing"] == ["", ""]
        assert each["numbers"] == [[0, 7], [1, 7]]
        assert each["sums"] == [[3, 3, 3], [[2, 2], [2, 2]]]
        assert each["sent"] == [0]
        assert each["from_main"] == {"rank": 0}
        for failed in (each["failed"], each["main_failed"]):
            assert failed["refused"] == "DataError"
            assert [code for code, *_ in failed["problems"]] == ["empty", "few"]
    assert first["turns"] == [["a", True], ["c", True]]
    assert second["turns"] == [["b", True], ["a", False]]
    assert (first["together"], second["together"]) == (0, 1)
    assert first["failed"]["agreed"]
    assert second["main_failed"]["agreed"]
