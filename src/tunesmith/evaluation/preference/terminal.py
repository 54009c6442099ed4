"""Report on preferences -> terminal: comparison, scores, verdict and a pair of each sort."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from tunesmith.evaluation.examples import first_of_each
from tunesmith.evaluation.generation.named import shown_scores
from tunesmith.evaluation.generation.terminal import comparison
from tunesmith.evaluation.preference.types import Preference, PreferenceExample
from tunesmith.evaluation.terminal_parts import heading, paired_tests, verdict, with_span
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import REWARD_MARGIN, clip, plain

__all__ = ["preference_as_terminal"]

# three lines at most for each text
_TEXT_COLUMNS = 3 * 64


def preference_as_terminal(report: Report, preference: Preference) -> RenderableType:
    """The report in no more than 80 columns."""
    parts: list[RenderableType] = [
        heading(f"On {report.rows:,} test rows"),
        comparison(report, ()),
        _others(report, preference),
        *paired_tests(report),
        Text(),
        verdict(report),
        Text(),
        heading("Examples"),
        *(line for each in first_of_each(preference.examples) for line in _example(each)),
    ]
    return Group(*parts)


def _others(report: Report, preference: Preference) -> Text:
    told = [with_span(report, each) for each in shown_scores(report)[1:]]
    told.append(f"beta {preference.beta:g}")
    lengths = f"{preference.preferred_tokens:.0f} tokens a preferred answer"
    told.append(f"{lengths}, {preference.rejected_tokens:.0f} a rejected")
    return Text(f"also: {', '.join(told)}", style="dim")


def _example(found: PreferenceExample) -> Iterator[RenderableType]:
    head = Text(f"{found.chosen}, margin {REWARD_MARGIN.signed(found.margin)}  ")
    yield head.append(plain(found.where), style="dim")
    texts = (("prompt", found.prompt), ("preferred", found.preferred), ("rejected", found.rejected))
    for name, text in texts:
        line = Text(f"{name:<11}", style="dim").append(clip(text, _TEXT_COLUMNS), style="not dim")
        yield Padding(line, (0, 0, 0, 2))
