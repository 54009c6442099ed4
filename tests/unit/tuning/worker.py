"""A process that joins the study in `sys.argv[1]` as others do, with trainings that cost nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tunesmith.listener import Listener
from tunesmith.recipe import Recipe
from tunesmith.tuning.ending import is_anothers
from tunesmith.tuning.space import Dimension
from tunesmith.tuning.storage import file_url, open_storage, quiet_optuna
from tunesmith.tuning.study import Plan, join_study
from tunesmith.tuning.trial import Objective, OnEvaluation
from tunesmith.tuning.tune import search

__all__ = ["TRIALS", "main"]

TRIALS = 8
_PLAN = Plan({"data": 1}, (Dimension("learning_rate", 1e-4, 1e-2, True),), {"learning_rate": 1e-3}, "full", 2)


def _train(_recipe: Recipe, _place: Path, on_evaluation: OnEvaluation) -> None:
    for epoch in (1, 2):
        on_evaluation(epoch, {"score": 0.1 * epoch})


def main() -> None:
    """Once told to begin, run trials, and tell which, and whether the final model is left to this process."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with quiet_optuna(), open_storage(file_url(Path(sys.argv[1]))) as storage:
        study, plan = join_study(storage, "shared", _PLAN, where="here")
        objective = Objective(study, plan, Recipe(), Path("trials"), TRIALS, _train, Listener())
        search(objective, None)
        finishes = not is_anothers(study, frozenset(objective.ran))
    sys.stdout.write(json.dumps({"ran": objective.ran, "finishes": finishes}))


if __name__ == "__main__":
    main()
