"""Report -> model card: a README.md with Hugging Face front matter that stands beside the weights."""

from __future__ import annotations

from tunesmith.evaluation.card_parts import (
    data_table,
    front_matter,
    markdown,
    markdown_table,
    recipe_table,
    what_it_does,
)
from tunesmith.evaluation.generation.card import writing_as_card
from tunesmith.evaluation.types import Interval, LabelScore, Report, RivalScore
from tunesmith.evaluation.unmeasured import unmeasured_as_card
from tunesmith.evaluation.wording import (
    MACRO_F1,
    Score,
    beside_macro_f1,
    clip,
    duration,
    further,
    listed,
    milliseconds,
    score,
    signed,
    size,
    span,
    weakest,
)
from tunesmith.recipe import Recipe
from tunesmith.task import Task

__all__ = ["as_model_card"]

_MOST_LABELS = 100
_WEAK = 3
_WEAK_F1 = 0.7
_COSTS = ("Training", "ms per text", "On disk")
_EXPLAINED = (
    "In brackets: 95 % percentile bootstrap intervals over the test rows. Macro-F1 is the mean over all"
    " labels of the task; the gain is in macro-F1, paired. All methods had the same rows."
)


def as_model_card(report: Report, *, task: Task, recipe: Recipe, name: str = "text classifier") -> str:
    """The README.md of a model; every text from the user is safe as YAML and as Markdown."""
    if not report.rows:
        return unmeasured_as_card(report, recipe=recipe, name=name)
    if report.writing is not None or report.preference is not None:
        return writing_as_card(report, recipe=recipe, name=name)
    sections = (
        f"# {markdown(name)}",
        _what(report, task),
        _labels(report),
        _how_it_did(report),
        data_table(report),
        recipe_table(recipe),
        _limits(report, recipe),
        _how_to_use(report, recipe),
    )
    scores = (beside_macro_f1(report), MACRO_F1, *further(report))
    front = front_matter(report, recipe, name, "text-classification", scores)
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _what(report: Report, task: Task) -> str:
    how_many = "one" if task.kind == "single_label" else "none, one or several"
    what = f"It gives a text {how_many} of {len(task.labels)} labels, with a probability for each."
    return what_it_does(report, what)


def _labels(report: Report) -> str:
    head = ("Label", "Test rows", "Precision", "Recall", "F1", "95 % interval")
    shown = report.per_label[:_MOST_LABELS]
    table = markdown_table("## Labels", head, [_label_row(found) for found in shown])
    more = len(report.labels) - len(shown)
    return table + (f"\n\n{more} more labels are in `report.json`." if more else "")


def _label_row(found: LabelScore) -> tuple[str, ...]:
    name, rows = markdown(found.label), f"{found.rows:,}"
    if not found.rows:
        return name, rows, "–", "–", "–", "–"
    return (
        name,
        rows,
        _with_span(found.precision, found.precision_interval),
        _with_span(found.recall, found.recall_interval),
        score(found.f1),
        span(found.f1_interval),
    )


def _with_span(value: float, interval: Interval | None) -> str:
    return f"{score(value)} ({span(interval)})" if interval else score(value)


def _how_it_did(report: Report) -> str:
    beside = beside_macro_f1(report)
    head = ("Method", beside.title, "Macro-F1", "Log-loss", "This model's gain", *_COSTS)
    rows = [_rival_row(rival, beside) for rival in report.rivals]
    cost = report.cost
    own = (duration(cost.train_seconds), milliseconds(cost.milliseconds_per_text), size(cost.size_bytes))
    rows.append(("**this model**", *_scores(report.metrics, report.intervals, beside), "–", *own))
    table = markdown_table(f"## How it did on {report.rows:,} test rows", head, rows)
    left_out = [f"- {markdown(rival.name)} was not run: {markdown(rival.why)}." for rival in report.not_run]
    return "\n\n".join([table, *(["\n".join(left_out)] if left_out else []), _EXPLAINED])


def _rival_row(rival: RivalScore, beside: Score) -> tuple[str, ...]:
    gain = rival.differences["macro_f1"]
    gained = f"{signed(gain.value)} ({span(gain, sign=True)})"
    cost = (
        duration(rival.train_seconds),
        milliseconds(rival.milliseconds_per_text),
        size(rival.size_bytes),
    )
    return (markdown(rival.name), *_scores(rival.metrics, rival.intervals, beside), gained, *cost)


def _scores(metrics: dict[str, float], intervals: dict[str, Interval], beside: Score) -> tuple[str, ...]:
    shown = (beside.key, "macro_f1", "log_loss")
    return tuple(f"{score(metrics[name])} ({span(intervals[name])})" for name in shown)


def _limits(report: Report, recipe: Recipe) -> str:
    assert report.calibration is not None, "labels have probabilities"
    limits = [
        "It always answers with one of its labels, also for texts that fit none of them."
        if report.kind == "single_label"
        else "It gives the labels whose probability reaches the threshold in `thresholds.json`, maybe none.",
        "Its scores hold for texts like the test rows; on texts of another kind it may do worse.",
        f"Its probabilities are off by {score(report.calibration.ece)} on average (calibration error).",
    ]
    if recipe.max_tokens:
        limits.append(f"It reads the first {recipe.max_tokens:,} tokens of a text.")
    weak = [found for found in weakest(report.per_label)[:_WEAK] if found.rows and found.f1 < _WEAK_F1]
    if weak:
        named = listed([f"{markdown(clip(found.label, 60))} (F1 {score(found.f1)})" for found in weak])
        limits.append(f"It is weakest on {named}.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _how_to_use(report: Report, recipe: Recipe) -> str:
    cut = f", truncation=True, max_length={recipe.max_tokens}" if recipe.max_tokens else ", truncation=True"
    every = "" if report.kind == "single_label" else ", top_k=None"
    return f"""## How to use

With transformers:

```python
from transformers import pipeline

classify = pipeline("text-classification", model="path/to/this/directory"{every})
classify("your text"{cut})
```

With tunesmith:

```sh
tunesmith predict path/to/this/directory "your text"
tunesmith serve path/to/this/directory
```"""
