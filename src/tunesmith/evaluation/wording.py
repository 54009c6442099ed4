"""Numbers and texts as people read them, the same in terminal, HTML and model card."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from tunesmith.evaluation.types import Difference, Interval, LabelScore, Report
from tunesmith.evaluation.understanding.types import Span

__all__ = [
    "ACCURACY",
    "CHRF",
    "LIKELIHOOD_ACCURACY",
    "MACRO_F1",
    "MICRO_F1",
    "PREFERENCE_LOSS",
    "REWARD_ACCURACY",
    "REWARD_MARGIN",
    "ROUGE_L",
    "WORD_F1",
    "Score",
    "beside_macro_f1",
    "chance",
    "clip",
    "columns",
    "duration",
    "further",
    "listed",
    "memory",
    "milliseconds",
    "paragraphs",
    "plain",
    "score",
    "signed",
    "size",
    "span",
    "weakest",
]

# these turn the reading direction of what follows, so that a text could pass for another
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Score:
    """A score by its key in `Report.metrics`, and what people call it.

    It is shown with `digits` decimals and is `top` at most, where 0 says that it has no upper end and less is
    better; a `proper` name is written alike everywhere.
    """

    key: str
    name: str
    digits: int = 3
    top: float = 1
    proper: bool = False

    @property
    def title(self) -> str:
        """The name where a line begins with it."""
        return self.name if self.proper else self.name[0].upper() + self.name[1:]

    def show(self, value: float) -> str:
        """A value of this score."""
        return score(value, self.digits)

    def signed(self, value: float) -> str:
        """A difference in this score."""
        return signed(value, self.digits)

    def span(self, found: Interval | Difference, *, sign: bool = False) -> str:
        """`low to high` of an interval of this score."""
        return span(found, sign=sign, digits=self.digits)


MACRO_F1 = Score("macro_f1", "macro-F1")
ACCURACY = Score("accuracy", "accuracy")
MICRO_F1 = Score("micro_f1", "micro-F1")
ROUGE_L = Score("rouge_l", "ROUGE-L")
WORD_F1 = Score("word_f1", "word F1")
REWARD_ACCURACY = Score("reward_accuracy", "reward accuracy")
LIKELIHOOD_ACCURACY = Score("likelihood_accuracy", "likelihood accuracy")
REWARD_MARGIN = Score("reward_margin", "reward margin")
PREFERENCE_LOSS = Score("preference_loss", "preference loss", top=0)
CHRF = Score("chrf", "chrF", digits=1, top=100, proper=True)

_FURTHER = {
    "single_label": (
        Score("weighted_f1", "weighted F1"),
        Score("macro_precision", "macro precision"),
        Score("macro_recall", "macro recall"),
    ),
    "multi_label": (
        Score("weighted_f1", "weighted F1"),
        Score("example_f1", "example-F1"),
        Score("subset_accuracy", "subset accuracy"),
        Score("hamming_loss", "Hamming loss"),
    ),
}


def further(report: Report) -> tuple[Score, ...]:
    """The scores that say more once macro-F1 and the one beside it are known."""
    return _FURTHER[report.kind]


def beside_macro_f1(report: Report) -> Score:
    """The score that is shown beside macro-F1: it counts rows, not labels, alike."""
    return MICRO_F1 if report.kind == "multi_label" else ACCURACY


def score(value: float, digits: int = 3) -> str:
    """A score or probability with three decimals, or as many as `digits` says."""
    return f"{value:.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign and three decimals; what rounds to zero has no sign."""
    rounded = score(abs(value), digits)
    if not float(rounded):
        return rounded
    return ("+" if value > 0 else "−") + rounded


def span(found: Interval | Difference | Span, *, sign: bool = False, digits: int = 3) -> str:
    """`low to high`."""
    show = signed if sign else score
    return f"{show(found.low, digits)} to {show(found.high, digits)}"


def chance(p: float) -> str:
    """A p-value with two significant figures."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them; a dash where nothing was measured."""
    match seconds:
        case None:
            return "–"
        case short if short < 9.95:
            return f"{short:.1f} s"
        case short if short < 59.5:
            return f"{short:.0f} s"
        case middling if middling < 3599.5:
            minutes, rest = divmod(round(middling), 60)
            return f"{minutes} min {rest:02d} s"
        case long:
            hours, rest = divmod(round(long / 60), 60)
            return f"{hours} h {rest:02d} min"


def memory(count: int) -> str:
    """Bytes as MiB, from 1 GiB on as GiB."""
    mebibytes = count / 2**20
    return f"{mebibytes:,.0f} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:,.1f} GiB"


def size(count: int | None) -> str:
    """Bytes as kB or MB, as files are measured; a dash where they are not known."""
    if count is None:
        return "–"
    kilobytes = count / 1e3
    if kilobytes < 999.5:
        return f"{kilobytes:,.0f} kB" if kilobytes >= 1 else "< 1 kB"
    return f"{kilobytes / 1e3:,.0f} MB" if kilobytes >= 9_950 else f"{kilobytes / 1e3:.1f} MB"


def milliseconds(value: float) -> str:
    """Milliseconds with about two significant figures."""
    if value < 0.005:
        return "< 0.01"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def listed(names: tuple[str, ...] | list[str], last: str = "and") -> str:
    """`a, b and c`."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def plain(text: str) -> str:
    """`text` on one line, without what could steer a terminal or turn the reading direction."""
    seen = (" " if _steers(character) else character for character in text)
    return " ".join("".join(seen).split())


def paragraphs(text: str, most: int) -> str:
    """`text` with its lines, without what could steer or turn; after `most` characters an ellipsis."""
    shown = "".join(" " if _steers(char) and char != "\n" else char for char in text[:most])
    return shown if len(text) <= most else shown.rstrip() + "…"


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _DIRECTION_MARKS


def columns(text: str) -> int:
    """How many columns `text` takes in type of one width; wide characters take two."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, width: int) -> str:
    """`plain(text)` cut to `width` columns, with an ellipsis where something is missing."""
    # texts may be books: no more characters than this can be shown
    enough = 8 * width + 64
    shown = plain(text[:enough])
    ends = list(accumulate(map(_width, shown)))
    if len(text) <= enough and (not ends or ends[-1] <= width):
        return shown
    return shown[: bisect_right(ends, width - 1)].rstrip() + "…"


def weakest(scores: tuple[LabelScore, ...]) -> tuple[LabelScore, ...]:
    """Labels by rising F1, of equals the more frequent first, those without a test row last."""
    return tuple(sorted(scores, key=lambda found: (found.rows == 0, found.f1, -found.rows)))
