"""What the paired intervals say about a run beside the first, in plain sentences."""

from __future__ import annotations

from tunesmith.evaluation.comparison.types import ComparedRun, Comparison
from tunesmith.evaluation.verdict import outcome
from tunesmith.evaluation.wording import (
    ACCURACY,
    MACRO_F1,
    MICRO_F1,
    ROUGE_L,
    WORD_F1,
    Score,
    chance,
)

__all__ = ["sentence", "shown_scores"]

_SHOWN = (
    MACRO_F1,
    ACCURACY,
    MICRO_F1,
    Score("weighted_f1", "weighted F1"),
    Score("example_f1", "example-F1"),
    Score("subset_accuracy", "subset accuracy"),
    Score("hamming_loss", "Hamming loss"),
    ROUGE_L,
    WORD_F1,
    Score("exact_match", "exact match"),
    Score("log_loss", "log-loss", top=0),
    Score("brier", "Brier score", top=0),
    Score("ece", "calibration error", top=0),
)
"""In the order in which they are shown; of the Hamming loss and those without an upper end, less is better"""


def shown_scores(comparison: Comparison) -> tuple[Score, ...]:
    """The scores that all runs have, the two that decide first."""
    first = (comparison.lead, comparison.beside)
    # with one label a text, micro-F1 is accuracy
    hidden = {MICRO_F1.key} if comparison.kind == "single_label" else set()
    known = {each.key: each for each in _SHOWN if each.key not in hidden}
    measured = set.intersection(*(set(run.metrics) for run in comparison.runs))
    keys = dict.fromkeys((*first, *known))
    return tuple(known[key] for key in keys if key in measured)


def sentence(run: ComparedRun, first: ComparedRun, lead: Score, *, several: bool) -> str:
    """Whether `run` is better than the first, by the score `lead`, and what McNemar's test says."""
    found = run.differences[lead.key]
    span = f"95 % interval {lead.span(found, sign=True)}"
    match outcome(found):
        case "beats":
            said = f"{run.name} is better than {first.name}: {lead.name} is {lead.show(found.value)} higher"
        case "worse":
            said = f"{run.name} is worse than {first.name}: {lead.name} is {lead.show(-found.value)} lower"
        case _:
            said = (
                f"{run.name} is not distinguishable from {first.name}: the difference in {lead.name},"
                f" {lead.signed(found.value)}, may be chance"
            )
    assert run.mcnemar is not None, "the first run is compared with none"
    assert run.p is not None, "every test has a p-value"
    raised = " after Holm" if several else ""
    rows = f"Rows only it has right: {run.mcnemar.only_this:,}, only {first.name}: {run.mcnemar.only_other:,}"
    return f"{said} ({span}). {rows} (McNemar, {run.mcnemar.test}: {chance(run.p)}{raised})."
