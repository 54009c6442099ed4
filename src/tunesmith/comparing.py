"""Runs that are finished -> how they differ on the test rows that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import ConfigError, Problem, StorageError
from tunesmith.evaluation.comparison.build import Contender, build_comparison
from tunesmith.evaluation.comparison.types import Comparison, RunCost
from tunesmith.evaluation.predictions import Predictions, read_predictions
from tunesmith.evaluation.types import Report
from tunesmith.files import read_json
from tunesmith.listener import Listener
from tunesmith.pipeline import evaluate, find_bundle
from tunesmith.run import Run, RunDirectory

__all__ = ["compare"]


def compare(
    runs: Sequence[Run | str | Path],
    *,
    data: str | Path | None = None,
    shared: bool = False,
    seed: int = 0,
    listener: Listener | None = None,
) -> Comparison:
    """Compare finished runs, each with the first, on the test rows on which they were judged.

    With `data`, a labelled file that none of them has seen, their models answer that instead; then bundles
    will do, too. Differences are paired and have 95 % bootstrap intervals, drawn by `seed`; McNemar's test
    goes by the rows that each answers wholly rightly, with p-values raised by Holm's method where several
    runs are compared. With `shared`, runs that were judged on other rows are compared on those that all have.
    Raises ConfigError where fewer than two runs are named, StorageError where one is not finished or has kept
    no answers, and DataError where rows, labels or kind of task differ.
    """
    paths = [run.directory if isinstance(run, Run) else _directory(Path(run)) for run in runs]
    if len(paths) < 2:
        fix = "name the run to compare with first, and then one or more others"
        raise ConfigError(Problem("one-run", "a comparison needs two runs", "the runs", fix))
    named = list(zip(paths, _names(paths), strict=True))
    if data is not None:
        told = listener or Listener()
        contenders = [_answering(path, name, data, told) for path, name in named]
    else:
        _refuse(paths)
        contenders = [_contender(path, name) for path, name in named]
    return build_comparison(contenders, shared=shared, seed=seed)


def _refuse(paths: Sequence[Path]) -> None:
    problems = [fault for path in paths if (fault := _fault(path))]
    if problems:
        raise StorageError(problems)


def _directory(path: Path) -> Path:
    """The run's, where its model is named."""
    inside = path.name == "model" and not (path / "run.json").is_file()
    return path.parent if inside and (path.parent / "run.json").is_file() else path


def _fault(path: Path) -> Problem | None:
    if not (path / "run.json").is_file():
        fix = "name the directory of a run that `tunesmith train` finished, such as runs/news"
        return Problem("no-run", "this is no run", str(path), fix)
    if not read_json(path / "run.json").get("done"):
        fix = "finish it with `tunesmith train … --resume`"
        return Problem("run-unfinished", "the run is not finished", str(path), fix)
    if not RunDirectory(path).predictions.is_file():
        what = "the run has not kept what it answered on each test row: an earlier tunesmith made it"
        return Problem("no-predictions", what, str(path), "let the models answer anew: --data test.csv")
    return None


def _names(paths: Sequence[Path]) -> Iterator[str]:
    """The last part of each path, or all of it where others end in the same."""
    ends = [path.resolve().name for path in paths]
    for path, end in zip(paths, ends, strict=True):
        yield end if ends.count(end) == 1 else str(path)


def _contender(path: Path, name: str) -> Contender:
    directory, about = RunDirectory(path), read_json(path / "run.json")
    report = Report.from_dict(read_json(path / "report.json"), str(path / "report.json"))
    cost = RunCost(report.cost.train_seconds, report.cost.milliseconds_per_text, _bytes_in(directory.model))
    recipe: dict[str, Any] = about.get("recipe", {})
    return Contender(name, str(path), read_predictions(directory.predictions), cost, recipe)


def _answering(path: Path, name: str, data: str | Path, listener: Listener) -> Contender:
    """The run, or the bundle, with what its model answers on `data` now."""
    bundle, kept = find_bundle(path), list[Predictions]()
    listener.note(f"{name} answers")
    report = evaluate(path, data, listener=listener, keep=kept.append)
    before = Report.from_dict(bundle.read("report.json"), str(bundle.path / "report.json"))
    cost = RunCost(before.cost.train_seconds, report.cost.milliseconds_per_text, _bytes_in(bundle.path))
    return Contender(name, str(path), kept[0], cost, bundle.recipe.model_dump(mode="json"))


def _bytes_in(model: Path) -> int | None:
    return sum(file.stat().st_size for file in model.iterdir()) if model.is_dir() else None
