"""Report of written answers -> model card."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.evaluation.card_parts import (
    data_table,
    front_matter,
    markdown,
    markdown_table,
    recipe_table,
    what_it_does,
)
from tunesmith.evaluation.generation.named import MEANINGS, lead_of, shown_scores
from tunesmith.evaluation.types import Report, RivalScore
from tunesmith.evaluation.wording import duration, milliseconds
from tunesmith.recipe import Recipe

__all__ = ["writing_as_card"]

_EXPLAINED = (
    "Intervals are 95 % percentile bootstrap intervals over the test rows; the gain is paired."
    " All methods had the same rows."
)
_HOW_TO_USE = """## How to use

With transformers:

```python
from transformers import pipeline

write = pipeline("text-generation", model="path/to/this/directory")
write([{"role": "user", "content": "your prompt"}], max_new_tokens=200, do_sample=False)
```

With tunesmith:

```sh
tunesmith predict path/to/this/directory "your prompt"
tunesmith serve path/to/this/directory
```"""


def writing_as_card(report: Report, *, recipe: Recipe, name: str) -> str:
    """The README.md of a model that writes; every text from the user is safe as YAML and as Markdown."""
    sections = (
        f"# {markdown(name)}",
        what_it_does(report, _what(report)),
        _scores(report),
        _methods(report),
        data_table(report),
        recipe_table(recipe),
        _limits(report, recipe),
        _HOW_TO_USE,
    )
    front = front_matter(report, recipe, name, "text-generation", shown_scores(report))
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _what(report: Report) -> str:
    match report.kind:
        case "chat":
            return "It answers the last message of a conversation."
        case "preference":
            return "It writes answers, and learned from pairs of them which one to prefer."
        case _:
            return "It writes the completion of a prompt."


def _scores(report: Report) -> str:
    rows = [
        (
            by.title,
            by.show(report.metrics[by.key]),
            by.span(report.intervals[by.key]) if by.key in report.intervals else "–",
            MEANINGS[by],
        )
        for by in shown_scores(report)
    ]
    heading = f"## How it did on {report.rows:,} test rows"
    table = markdown_table(heading, ("Score", "Value", "95 % interval", "What it says"), rows)
    notes = [markdown(note) for note in report.writing.notes] if report.writing else []
    return "\n\n".join([table, *notes, _EXPLAINED])


def _methods(report: Report) -> str:
    lead, cost = lead_of(report), report.cost
    first = shown_scores(report)[:2]

    def scores(metrics: Mapping[str, float]) -> tuple[str, ...]:
        return tuple(by.show(metrics[by.key]) for by in first)

    def row(rival: RivalScore) -> tuple[str, ...]:
        gain = rival.differences[lead.key]
        gained = f"{lead.signed(gain.value)} ({lead.span(gain, sign=True)})"
        spent = (duration(rival.train_seconds), milliseconds(rival.milliseconds_per_text))
        return markdown(rival.name), *scores(rival.metrics), gained, *spent

    own = (duration(cost.train_seconds), milliseconds(cost.milliseconds_per_text))
    rows = [*map(row, report.rivals), ("**this model**", *scores(report.metrics), "–", *own)]
    titles = (by.title for by in first)
    head = ("Method", *titles, f"This model's gain in {lead.name}", "Training", "ms per answer")
    return markdown_table("## Against cheap rivals", head, rows)


def _limits(report: Report, recipe: Recipe) -> str:
    known = "the scores compare words with references, and know nothing of truth"
    if report.kind == "preference":
        known = "the scores say how it ranks given answers, and nothing of those that it writes itself"
    limits = [
        f"What it writes may be false: {known}.",
        "Its scores hold for prompts like the test rows; on prompts of another kind it may do worse.",
    ]
    if recipe.max_tokens:
        limits.append(f"Prompt and answer together may have {recipe.max_tokens:,} tokens.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)
