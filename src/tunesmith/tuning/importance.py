"""How much of the scores' variance each key explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

__all__ = ["importances"]

# a forest of fewer trials explains their noise
_FEWEST_TRIALS = 4


def importances(study: optuna.Study, seed: int) -> dict[str, float] | None:
    """Shares that sum to 1, the largest first, of the keys that every complete trial has.

    Functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown, 2014), as Optuna has it. None where
    complete trials are too few, or all scored the same.
    """
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < _FEWEST_TRIALS or len({trial.value for trial in complete}) < 2:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()} or None
