"""The end of a search: what was found is trained as `train` trains, and the test rows are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tunesmith.bundle import open_bundle
from tunesmith.evaluation.types import Report, RivalScore
from tunesmith.evaluation.verdict import outcome
from tunesmith.evaluation.wording import score, signed
from tunesmith.files import read_json, write_json
from tunesmith.inputs import Material
from tunesmith.lesson import Judging
from tunesmith.listener import Listener
from tunesmith.pipeline import train
from tunesmith.recipe import Recipe
from tunesmith.room import room_of
from tunesmith.tuning.types import Comparison, TrialRecord, lead_of

__all__ = ["DEFAULTS", "Finals", "compared", "judged_beside"]

DEFAULTS = "the defaults"
_HOW = "is the model of the recipe as it was given, trained and chosen on the same rows"


@dataclass(frozen=True, slots=True)
class Finals:
    """Trains the final models: one that is done is taken as it is, one that was stopped goes on."""

    data: str | Path
    same: Mapping[str, Any]
    """Test and validation sets, task, columns and kind, as `train` takes them"""
    listener: Listener
    should_stop: Callable[[], bool]

    def trained(self, recipe: Recipe, place: Path) -> Report:
        """The report of a run with this recipe at `place`."""
        before = _begun(place)
        is_same = _is_of(recipe, before.get("recipe", {}))
        if not (is_same and before.get("done")):
            train(
                self.data,
                **self.same,
                out=place,
                recipe=recipe,
                overwrite=not is_same,
                resume=is_same,
                listener=self.listener,
                should_stop=self.should_stop,
            )
        return Report.from_dict(read_json(place / "report.json"))


def _begun(place: Path) -> Mapping[str, Any]:
    file = place / "run.json"
    found = read_json(file) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _is_of(recipe: Recipe, resolved: Mapping[str, Any]) -> bool:
    """Whether a run has this recipe, resolved; what a run may change when it goes on is not in it."""
    asked = recipe.model_dump(mode="json", exclude_none=True)
    said = {name: value for name, value in asked.items() if value != "auto" and name in resolved}
    return bool(resolved) and all(resolved[name] == value for name, value in said.items())


def judged_beside(
    best: Path, default: Path, trial: int, material: Material, listener: Listener
) -> RivalScore:
    """The defaults' model on the test rows as a rival of that of the best `trial`, with paired differences.

    Where the two were compared before, as they were then: the test rows are not read again.
    """
    file = default / "beside.json"
    before = read_json(file) if file.is_file() else {}
    if before.get("best") != trial:
        rival = _compared(best, default, material, listener)
        before = {"best": trial, "rival": _rival_score().dump_python(rival, mode="json")}
        write_json(file, before)
    return _rival_score().validate_python(before["rival"])


@cache
def _rival_score() -> TypeAdapter[RivalScore]:
    return TypeAdapter(RivalScore)


def _compared(best: Path, default: Path, material: Material, listener: Listener) -> RivalScore:
    listener.stage("compare")
    mine, theirs = open_bundle(best / "model"), open_bundle(default / "model")
    room = room_of(mine.task)
    test = room.judged(material.splits.test, mine.recipe)
    seconds = Report.from_dict(read_json(default / "report.json")).cost.train_seconds or 0.0
    answerer = theirs.answerer()
    rival = room.rival(DEFAULTS, _HOW, answerer, test, listener.answered, seconds, theirs.recipe)
    judging = Judging({}, mine.recipe, on_answer=listener.answered)
    return room.judge(mine.answerer(), test, [rival], judging).rivals[0]


def compared(
    best: TrialRecord, default: TrialRecord, report: Report, rival: RivalScore | None, looks: int
) -> Comparison:
    """Whether the search beat the defaults; `looks` is how many best models have seen the test rows."""
    assert best.score is not None
    assert default.score is not None
    gain = best.score - default.score
    if rival is None:
        headline = "The search did not beat the defaults"
        scored = (
            f"On the validation rows, no trial did better than the {score(default.score)} of the defaults"
        )
        sentences = [f"{scored}: the final model is theirs."]
    else:
        headline, on_test = _on_test(report, rival)
        sentences = [_on_validation(best, default, gain), on_test]
    if looks > 1:
        sentences.append(
            f"The search went on after its test result was known, and {looks} best models have answered the "
            "test rows: they are no longer untouched, and new ones would prove more."
        )
    return Comparison(headline, tuple(sentences), gain, rival)


def _on_validation(best: TrialRecord, default: TrialRecord, gain: float) -> str:
    assert best.score is not None
    assert default.score is not None
    return (
        f"On the validation rows, which chose it, trial {best.number} scored {score(best.score)} and the "
        f"defaults {score(default.score)}: {signed(gain)}, which flatters the best of many."
    )


def _on_test(report: Report, rival: RivalScore) -> tuple[str, str]:
    by = lead_of(report)
    found = rival.differences[by.key]
    values = f"{by.show(report.metrics[by.key])} against {by.show(rival.metrics[by.key])}"
    said = (
        f"On the {report.rows:,} test rows, which chose nothing, {by.name} is {values}: "
        f"{by.signed(found.value)}, 95 % paired interval {by.span(found, sign=True)}"
    )
    match outcome(found):
        case "beats":
            return "The search beat the defaults", f"{said}."
        case "worse":
            return "The search did worse than the defaults", f"{said}: take the model of the defaults."
        case _:
            return "The search is not shown to beat the defaults", f"{said}, which may be chance."
