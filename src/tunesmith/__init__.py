"""tunesmith: your text in, your own GPT in production out, with proof that it works.

import tunesmith as ts

run = ts.train("news.csv")
print(run.report.metrics["macro_f1"])
model = ts.load(run.model_path)
model.predict(["The striker scored twice."])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.bundle import Bundle, open_bundle
    from tunesmith.comparing import compare
    from tunesmith.data.check import DataReport, check
    from tunesmith.data.dataset import Dataset, Example, Splits
    from tunesmith.data.read import read
    from tunesmith.data.split import split
    from tunesmith.errors import Problem, UserError
    from tunesmith.evaluation.comparison.types import Comparison
    from tunesmith.evaluation.types import Report
    from tunesmith.exporting.export import Exported, export
    from tunesmith.listener import Listener
    from tunesmith.model.explanation import Explanation
    from tunesmith.opening import load
    from tunesmith.pipeline import evaluate, load_writer, train
    from tunesmith.predict import Prediction, Predictor
    from tunesmith.recipe import Recipe
    from tunesmith.run import Run
    from tunesmith.score import score_file
    from tunesmith.task import Task
    from tunesmith.training.loop import Interrupted, Progress
    from tunesmith.tuning.tune import tune
    from tunesmith.tuning.types import Tuning
    from tunesmith.writer import Writer, Written

__version__ = "0.1.0"

# imported when first used: `import tunesmith` costs next to nothing
_HOMES = {
    "Bundle": "bundle",
    "Comparison": "evaluation.comparison.types",
    "DataReport": "data.check",
    "Dataset": "data.dataset",
    "Example": "data.dataset",
    "Explanation": "model.explanation",
    "Exported": "exporting.export",
    "Interrupted": "training.loop",
    "Listener": "listener",
    "Prediction": "predict",
    "Predictor": "predict",
    "Problem": "errors",
    "Progress": "training.loop",
    "Recipe": "recipe",
    "Report": "evaluation.types",
    "Run": "run",
    "Splits": "data.dataset",
    "Task": "task",
    "Tuning": "tuning.types",
    "UserError": "errors",
    "Writer": "writer",
    "Written": "writer",
    "check": "data.check",
    "compare": "comparing",
    "evaluate": "pipeline",
    "export": "exporting.export",
    "load": "opening",
    "load_writer": "pipeline",
    "open_bundle": "bundle",
    "read": "data.read",
    "score_file": "score",
    "split": "data.split",
    "train": "pipeline",
    "tune": "tuning.tune",
}

__all__ = [
    "Bundle",
    "Comparison",
    "DataReport",
    "Dataset",
    "Example",
    "Explanation",
    "Exported",
    "Interrupted",
    "Listener",
    "Prediction",
    "Predictor",
    "Problem",
    "Progress",
    "Recipe",
    "Report",
    "Run",
    "Splits",
    "Task",
    "Tuning",
    "UserError",
    "Writer",
    "Written",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "load",
    "load_writer",
    "open_bundle",
    "read",
    "score_file",
    "split",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")
    return getattr(import_module(f"tunesmith.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
