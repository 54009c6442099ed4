"""Task: what is to be learned."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tunesmith.config import Config

__all__ = ["Kind", "Task"]

Kind = Literal["single_label", "multi_label"]


class Task(Config):
    """What is to be learned: which column holds the text, which the label, and the labels."""

    kind: Kind = "single_label"
    """How many labels a text has; `single_label`: exactly one; `multi_label`: none, one or several."""

    labels: tuple[str, ...] = Field(default=(), max_length=10_000)
    """The label names; their order is the label id. Empty: taken from the data, sorted."""

    text_column: str = Field(default="text", min_length=1)
    """The column that holds the text."""

    target_column: str = Field(default="label", min_length=1)
    """The column that holds the label, or the labels."""

    separator: str | None = Field(default=None, min_length=1, max_length=8)
    """What parts the labels of one cell, such as `;`; null: found by itself. Only for `multi_label`."""

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
    def _separator_needs_several(self) -> Self:
        if self.separator and self.kind == "single_label" and "kind" in self.model_fields_set:
            raise ValueError("a `separator` stands between several labels: it needs `kind: multi_label`")
        return self

    @property
    def label_ids(self) -> dict[str, int]:
        """label -> label id, in label order."""
        return {label: label_id for label_id, label in enumerate(self.labels)}
