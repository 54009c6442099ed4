"""The column names by which texts, labels and what is to be written are known."""

from __future__ import annotations

__all__ = [
    "COMPLETION_NAMES",
    "CONTEXT_NAMES",
    "GENERIC_LABEL_NAMES",
    "INSTRUCTION",
    "LABEL_NAMES",
    "MESSAGES_NAMES",
    "PREFERRED_NAMES",
    "PROMPT_NAMES",
    "REJECTED_NAMES",
    "TEXT_NAMES",
    "folded_name",
]

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
# each in order: the first that is there is it
PROMPT_NAMES = (
    *("prompt", "instruction", "question", "query", "input", "source"),
    *("document", "article", "dialogue", "abstract", "text"),
)
COMPLETION_NAMES = (
    *("completion", "response", "output", "target", "answer", "summary"),
    *("highlights", "reply", "translation"),
)
MESSAGES_NAMES = ("messages", "conversation", "conversations", "chat", "dialogue", "dialog")
PREFERRED_NAMES = ("chosen", "preferred_output", "preferred")
REJECTED_NAMES = ("rejected", "non_preferred_output", "dispreferred")
INSTRUCTION = "instruction"
# what stands below an instruction where such a column is there
CONTEXT_NAMES = ("input", "context")


def folded_name(name: str) -> str:
    """The name as the lists above spell it: "Class Index" -> "class_index"."""
    return "_".join(name.casefold().replace("-", " ").split())
