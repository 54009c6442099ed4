"""What travels over HTTP; the OpenAPI schema and its reference page are made from these."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from tunesmith.api.names import NAME_PATTERN
from tunesmith.task import Kind

__all__ = [
    "AnswersLikeThis",
    "Calibrated",
    "ClassifyLine",
    "ClassifyRequest",
    "ClassifyResponse",
    "ErrorEnvelope",
    "Health",
    "LabelScore",
    "LineFault",
    "LineResult",
    "LoadRequest",
    "Measured",
    "ModelFacts",
    "ModelList",
    "ReplaceRequest",
    "Result",
    "Usage",
    "Wire",
]


class Wire(BaseModel):
    """What all that travels shares: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ClassifyRequest(Wire):
    """Texts to classify."""

    model_config = ConfigDict(strict=True)

    input: str | list[str]
    """One text, or a list of texts."""

    top_k: int | None = None
    """How many labels each text is answered with, the likeliest first."""

    model: str | None = None
    """Which model answers, by its name. Left out: the server's first."""

    @property
    def texts(self) -> list[str]:
        """The texts, one or many."""
        return [self.input] if isinstance(self.input, str) else self.input


class ClassifyLine(Wire):
    """One line of a stream to classify."""

    model_config = ConfigDict(strict=True)

    input: str
    """The text."""

    id: str | Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    """Whatever the answer shall be known by; it comes back as it is."""

    top_k: int | None = None
    """How many labels the text is answered with, the likeliest first."""


class ReplaceRequest(Wire):
    """A model to be loaded."""

    model_config = ConfigDict(strict=True)

    path: str
    """The run, or its model directory, below the model root."""


class LoadRequest(ReplaceRequest):
    """A model to be loaded under a name of its own."""

    name: str = Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})
    """The name that requests will give."""


class LabelScore(Wire):
    """A label and its probability."""

    label: str
    """The label's name."""

    score: FiniteFloat
    """From 0 to 1; over all labels the scores of a text sum to 1, unless the model is multi-label."""


class Result(Wire):
    """The answer to one text."""

    label: str | None
    """The likeliest of the labels given; null where a multi-label model gives none."""

    score: FiniteFloat | None
    """Its probability."""

    labels: list[str]
    """The labels given, the likeliest first: one, or of a multi-label model any number."""

    truncated: bool
    """Whether the text is longer than the model reads, so that its end was left out."""

    scores: list[LabelScore]
    """The `top_k` likeliest labels, the likeliest first."""


class LineResult(Result):
    """The answer to one line."""

    id: str | int | None
    """The line's own, or null."""


class Usage(Wire):
    """What a request came to."""

    texts: int
    """Texts that were classified."""

    tokens: int
    """Tokens that the model read."""


class ClassifyResponse(Wire):
    """One result a text, in the order of the request."""

    model: str
    """The model's name."""

    results: list[Result]
    """The answers."""

    usage: Usage
    """What the request came to."""


class Measured(Wire):
    """A score on the test rows, with its 95 % interval."""

    value: float
    """The score, from 0 to 1."""

    low: float
    """Where the interval begins."""

    high: float
    """Where it ends."""


class AnswersLikeThis(Wire):
    """Test answers whose probability lies in (`low`, `high`].

    Of a model with one label a text the likeliest label counts, of others each label of each text.
    """

    low: float
    """Where the bin begins; what is just that probable is in the one before."""

    high: float
    """Where it ends."""

    rows: int
    """Answers in it."""

    right: Measured
    """The share of them that was right."""


class Calibrated(Wire):
    """Whether probabilities mean what they say, on the test rows."""

    ece: float
    """The mean gap between probability and share of right answers."""

    temperature: str | None = None
    """By what the model's head was divided, and on how many validation rows that was fitted."""

    bins: list[AnswersLikeThis]
    """Those that hold any answer, from the least probable on."""


class ModelFacts(Wire):
    """What is served, and how good it was when it was evaluated."""

    model: str
    """The model's name."""

    kind: Kind = "single_label"
    """How many labels a text gets: one, or any number."""

    labels: list[str]
    """The labels, in label order."""

    max_tokens: int
    """How many tokens of a text the model reads."""

    base: str | None = None
    """What it was fine-tuned from."""

    parameters: int | None = None
    """How many numbers it holds."""

    engine: str | None = None
    """What computes: `torch`, `onnx`, `onnx-int8` or `adapter`."""

    why: str | None = None
    """Why this engine."""

    explains: bool = False
    """Whether `/v1/explain` tells what the words of a text did: it needs gradients."""

    macro_f1: Measured | None = None
    """The mean F1 over all labels, on the test rows."""

    accuracy: Measured | None = None
    """The share of test rows answered rightly; null for a multi-label model."""

    micro_f1: Measured | None = None
    """Of a multi-label model: the F1 over all decisions, on the test rows."""

    test_rows: int | None = None
    """Rows of the test set that the scores come from."""

    calibration: Calibrated | None = None
    """How often answers of some probability were right; null where the report does not say."""

    has_report: bool = False
    """Whether there is a page of its evaluation, at `/report`."""

    versions: dict[str, str] = Field(default_factory=dict)
    """The software that serves it."""


class ModelList(Wire):
    """All that is served."""

    default: str
    """The name of the model that answers requests that name none."""

    models: list[ModelFacts]
    """The models, the default first."""


class Health(Wire):
    """Whether the server lives, or is ready."""

    status: str
    """`alive`, or `ready`, `loading`, `draining`."""


class _Fault(Wire):
    message: str
    """What is wrong, for people."""

    type: str
    """The kind of fault, coarser than the code."""

    param: str | None
    """The field that the message is about."""

    code: str
    """A heading of the error reference."""


class ErrorEnvelope(Wire):
    """Every answer that is no success."""

    error: _Fault
    """What is wrong."""


class LineFault(Wire):
    """What stands in place of the answer to a line that cannot be answered."""

    id: str | int | None
    """The line's own where it could be read, or null."""

    line: int
    """The number of the line, from 1."""

    error: _Fault
    """What is wrong."""
