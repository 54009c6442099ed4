"""Task: what is to be learned."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tunesmith.bar import Bar
from tunesmith.config import Config

__all__ = ["Kind", "Task"]

Kind = Literal["single_label", "multi_label", "completion", "chat", "preference"]


class Task(Config):
    """What is to be learned: which column holds the text, and which the label, or what is to be written."""

    kind: Kind = "single_label"
    """`single_label`, `multi_label`: one label, or any number; `completion`, `chat`: text to be written;
    `preference`: text to be written, learned from pairs of answers of which one is preferred."""

    labels: tuple[str, ...] = Field(default=(), max_length=10_000)
    """The label names; their order is the label id. Empty: taken from the data, sorted."""

    text_column: str = Field(default="text", min_length=1)
    """The column of the text: for `completion` and `preference` the prompt, for `chat` the messages."""

    target_column: str | None = Field(default="label", min_length=1)
    """The column of the label, the labels, the completion or the preferred answer; null for `chat`."""

    rejected_column: str | None = Field(default=None, min_length=1)
    """The column of the answer that is not preferred; null: found by itself. Only for `preference`."""

    instruction: str | None = Field(default=None, min_length=1)
    """What is said before every prompt; for `chat`, where a conversation has no system message."""

    separator: str | None = Field(default=None, min_length=1, max_length=8)
    """What parts the labels of one cell, such as `;`; null: found by itself. Only for `multi_label`."""

    bar: Bar | None = None
    """What a model must reach to be worth deploying: the report then says GO or NO-GO."""

    @model_validator(mode="before")
    @classmethod
    def _chat_has_one_column(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("kind") == "chat":
            return {"target_column": None} | values
        return values

    @field_validator("kind", mode="before")
    @classmethod
    def _hyphen_is_fine(cls, kind: object) -> object:
        return kind.replace("-", "_") if isinstance(kind, str) else kind

    @field_validator("labels", mode="before")
    @classmethod
    def _names_are_text(cls, labels: object) -> object:
        # YAML reads `- 1` as a number and `- yes` as a boolean: a label is always text
        if not isinstance(labels, (list, tuple)):
            return labels
        return tuple(str(name) if isinstance(name, (int, float)) else name for name in labels)

    @field_validator("labels")
    @classmethod
    def _names_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name, count in Counter(labels).items() if count > 1]
        if twice:
            raise ValueError(f"labels must differ, but these stand twice: {twice}")
        if any(not name.strip() for name in labels):
            raise ValueError("a label must not be empty")
        if len(labels) == 1:
            raise ValueError("a task needs at least two labels")
        return labels

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> Self:
        said = "kind" in self.model_fields_set
        if self.separator and self.kind != "multi_label" and said:
            raise ValueError("a `separator` stands between several labels: it needs `kind: multi_label`")
        if self.labels and self.writes:
            raise ValueError(f"`kind: {self.kind}` writes text and has no `labels`: leave them out")
        if self.instruction and not self.writes:
            raise ValueError(
                "an `instruction` stands before prompts: it needs `kind: completion`, `chat` or `preference`"
            )
        if self.rejected_column and self.kind != "preference" and said:
            raise ValueError(
                "a `rejected_column` stands beside a preferred answer: it needs `kind: preference`"
            )
        if self.target_column is None and self.kind != "chat":
            raise ValueError("only `kind: chat` has no `target_column`")
        return self

    @property
    def writes(self) -> bool:
        """Whether text is to be written, and no label to be given."""
        return self.kind in ("completion", "chat", "preference")

    @property
    def label_ids(self) -> dict[str, int]:
        """label -> label id, in label order."""
        return {label: label_id for label_id, label in enumerate(self.labels)}
