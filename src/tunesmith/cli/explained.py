"""An explanation -> a text whose words are marked, and its most telling words with their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from tunesmith.cli.output import console

if TYPE_CHECKING:
    from tunesmith.model.explanation import Explanation, TokenScore

__all__ = ["as_values", "show_explanation"]

# by colour and by line: neither is needed to read the other
_STYLES = {
    3: "bold underline green",
    2: "underline green",
    1: "green",
    0: "",
    -1: "magenta",
    -2: "italic magenta",
    -3: "bold italic magenta",
}
_TELLING_WORDS = 5


def as_values(found: Explanation) -> dict[str, Any]:
    """The explanation as JSON values; start and end count the characters of the text."""
    tokens = [
        {"text": token.text, "start": token.start, "end": token.end, "score": token.score}
        for token in found.tokens
    ]
    ends = {"log_odds": found.log_odds, "baseline": found.baseline, "gap": found.gap}
    return {"label": found.label, **ends, "tokens": tokens}


def show_explanation(found: Explanation) -> None:
    """Print the text with its words marked; green and underlined speaks for the label, magenta against it."""
    from tunesmith.evaluation.understanding.wording import strength
    from tunesmith.evaluation.wording import plain

    words = found.words
    largest = max((abs(word.score) for word in words), default=0.0)
    marked = [Text(plain(word.text), _STYLES[strength(word.score, largest)]) for word in words]
    console.print(Text("  ") + Text(" ").join(marked), soft_wrap=True)
    for_it = sorted(words, key=lambda word: -word.score)[:_TELLING_WORDS]
    against = sorted(words, key=lambda word: word.score)[:_TELLING_WORDS]
    console.print(_said("for", [word for word in for_it if word.score > 0]), soft_wrap=True)
    console.print(_said("against", [word for word in against if word.score < 0]), soft_wrap=True)


def _said(side: str, words: list[TokenScore]) -> Text:
    from tunesmith.evaluation.wording import clip, signed

    said = ", ".join(f"{clip(word.text, 24)} {signed(word.score, 2)}" for word in words)
    return Text(f"  {side + ':':<9}{said or 'no word'}", style="dim")
