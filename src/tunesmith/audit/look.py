"""Dataset, held-out sets -> Audit: what is told of labels, sets and languages, and how it is put."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec

from tunesmith.audit.language import languages_of
from tunesmith.audit.noise import label_noise
from tunesmith.audit.shift import shift_between
from tunesmith.audit.types import Audit, LabelNoise, Languages, Shift
from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import Facts, facts_of
from tunesmith.data.problems import grouped, shown
from tunesmith.errors import Problem, Severity

__all__ = ["audit"]

# below, sets differ by little that a model would notice
_TOLD_APART = 0.6
_MANY_IN_ANOTHER = 0.1
_FEWEST_IN_ANOTHER = 3
_WORDS_TOLD = 4


def audit(dataset: Dataset, held_out: Mapping[str, Dataset], seed: int = 0, *, noise: bool = True) -> Audit:
    """Look at all texts together; of what is to be written, at the languages and the shift only.

    Without `noise` labels are not doubted, which takes most of the time.
    """
    if not len(dataset):
        return Audit(None, (), None, ())
    facts = facts_of(dataset)
    missing = [name for name in ("cleanlab", "py3langid") if find_spec(name) is None]
    doubted = (
        label_noise(facts, seed) if noise and not dataset.task.writes and "cleanlab" not in missing else None
    )
    languages = None if "py3langid" in missing else languages_of(facts)
    found = (shift_between(facts, name, facts_of(other), seed) for name, other in held_out.items())
    shifts = tuple(shift for shift in found if shift is not None)
    problems = [
        *_not_looked_for(missing),
        *_noise(facts, doubted),
        *_languages(facts, languages),
        *_shifts(shifts),
    ]
    return Audit(doubted, shifts, languages, tuple(problems))


def _not_looked_for(missing: Iterable[str]) -> Iterator[Problem]:
    what = {"cleanlab": "wrong labels are", "py3langid": "languages are"}
    for name in missing:
        fix = f"install {name}: pip install 'tunesmith[data]'"
        yield Problem("not-looked-for", f"{what[name]} not looked for here", "this Python", fix, "info")


def _noise(facts: Facts, noise: LabelNoise | None) -> Iterator[Problem]:
    if noise is None:
        return
    column = facts.dataset.task.target_column
    if noise.doubts and noise.doubtful:
        first = noise.doubts[0]
        what = (
            f"about {noise.share:.1%} of the labels are probably wrong; first of all {shown(first.given)} "
            f"here, where the other rows speak for {shown(first.probable)}: {shown(first.text)}"
        )
        fix = "look through them, the most doubtful first: --page FILE lists them, and so does --json"
        yield grouped(
            "doubtful-labels", what, first.where, fix, column=column, severity="warning", count=noise.doubtful
        )
    for pair in noise.confused[:1]:
        what = (
            f"{shown(pair.first)} and {shown(pair.second)} are hard to tell apart in the data itself: "
            f"{pair.share:.1%} of the rows bear one and read like the other"
        )
        fix = "say more clearly what belongs to which, and label such rows again; or make one label of them"
        count = max(1, round(pair.share * noise.rows))
        yield grouped("confused-labels", what, "the data", fix, column=column, severity="info", count=count)


def _languages(facts: Facts, languages: Languages | None) -> Iterator[Problem]:
    if languages is None or len(languages.found) < 2:
        return
    first, *others = languages.found
    count = sum(other.texts for other in others)
    if count < _FEWEST_IN_ANOTHER:
        return
    sure = languages.texts - languages.unsure
    told = ", ".join(f"{other.code} {other.texts / sure:.1%}" for other in others[:3])
    what = f"not all texts are in one language: {first.code} {first.texts / sure:.1%}, {told}"
    fix = "choose a base that has read them all, or take out what is not meant"
    severity: Severity = "warning" if count > _MANY_IN_ANOTHER * sure else "info"
    column = facts.dataset.task.text_column
    rows = max(1, round(count / languages.texts * len(facts.dataset)))
    yield grouped("languages", what, others[0].where, fix, column=column, severity=severity, count=rows)


def _shifts(shifts: Iterable[Shift]) -> Iterator[Problem]:
    for shift in shifts:
        if shift.auc < _TOLD_APART or shift.low < 0.5:
            continue
        ours, theirs = (
            ", ".join(shown(word) for word in words[:_WORDS_TOLD])
            for words in (shift.train_words, shift.held_out_words)
        )
        what = (
            f"the {shift.name} set is not like the training rows: a classifier tells them apart with an AUC "
            f"of {shift.auc:.2f} ({shift.low:.2f} to {shift.high:.2f}), by {ours} there and {theirs} here"
        )
        fix = "draw both from the same texts; or mean it, where the set stands for what is to come"
        yield Problem("shift", what, f"the {shift.name} set", fix, "warning")
