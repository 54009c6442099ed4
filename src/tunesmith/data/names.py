"""The column names by which a text and a label are known."""

from __future__ import annotations

__all__ = ["GENERIC_LABEL_NAMES", "LABEL_NAMES", "TEXT_NAMES", "folded_name"]

TEXT_NAMES = frozenset(
    {
        "abstract",
        "article",
        "body",
        "comment",
        "content",
        "description",
        "document",
        "headline",
        "input",
        "message",
        "post",
        "prompt",
        "question",
        "review",
        "sentence",
        "summary",
        "text",
        "title",
        "tweet",
        "utterance",
    }
)
# any of these is the label, the first before the others
GENERIC_LABEL_NAMES = ("label", "labels", "target", "class", "category")
LABEL_NAMES = frozenset(
    {
        *GENERIC_LABEL_NAMES,
        "categories",
        "class_index",
        "completion",
        "emotion",
        "genre",
        "intent",
        "label_name",
        "label_text",
        "section",
        "sentiment",
        "tag",
        "tags",
        "topic",
        "topics",
    }
)


def folded_name(name: str) -> str:
    """The name as the lists above spell it: "Class Index" -> "class_index"."""
    return "_".join(name.casefold().replace("-", " ").split())
