"""What callers may ask, as models; the OpenAPI schema is made from these."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from tunesmith.api.schemas import Wire
from tunesmith.studio.ids import is_suffix

__all__ = [
    "MOST_PARTS",
    "BatchSize",
    "Beta",
    "Dpo",
    "DpoHyperparameters",
    "Epochs",
    "ExpiresAfter",
    "FileForm",
    "GivenPurpose",
    "Hyperparameters",
    "JobRequest",
    "MethodRequest",
    "Multiplier",
    "Strict",
    "Supervised",
    "Text",
    "UploadComplete",
    "UploadRequest",
]

GivenPurpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]

_MOST_METADATA = 16
MOST_PARTS = 10_000
"""Of one upload"""
_LONGEST_SEED = 2**31 - 1
_HOUR, _MONTH = 3600, 30 * 24 * 3600


def _without_nul(text: str) -> str:
    # no database keeps it
    if "\0" in text:
        raise PydanticCustomError("nul", "must not hold the character NUL")
    return text


def _as_suffix(text: str) -> str:
    if not is_suffix(text):
        raise PydanticCustomError("suffix", "must be 1 to 64 letters, digits, dots, hyphens or underscores")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_without_nul)]
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_without_nul)]
MetadataValue = Annotated[str, StringConstraints(max_length=512), AfterValidator(_without_nul)]


def _auto_or(whole: bool, lowest: float, most: float | None, *, above: bool = False) -> Any:
    """`auto`, or a number of this range; what is left out is `auto`."""
    bounds = f"{'more than' if above else 'from'} {lowest:g}" + (f" to {most:g}" if most is not None else "")
    words = f'must be "auto", or a {"whole " if whole else ""}number {bounds}'

    kinds = (int,) if whole else (int, float)
    # what JSON writes as 1e999 is infinite here
    upper = math.nextafter(math.inf, 0) if most is None else most

    def read(value: object) -> object:
        if value is None or value == "auto":
            return "auto"
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise PydanticCustomError("range", words)
        if not lowest <= value <= upper or (above and value == lowest):
            raise PydanticCustomError("range", words)
        return value

    kind: dict[str, Any] = {"type": "integer" if whole else "number"}
    kind |= {"exclusiveMinimum" if above else "minimum": lowest}
    kind |= {} if most is None else {"maximum": most}
    schema = {"anyOf": [{"const": "auto", "type": "string"}, kind]}
    return Annotated[Any, PlainValidator(read), WithJsonSchema(schema)]


Epochs: Any = _auto_or(True, 1, 50)
BatchSize: Any = _auto_or(True, 1, 256)
Multiplier: Any = _auto_or(False, 0, None, above=True)
Beta: Any = _auto_or(False, 0, 2, above=True)


class Strict(Wire):
    """Taken as it is: a number that stands in quotation marks is none."""

    model_config = ConfigDict(strict=True)


class ExpiresAfter(Strict):
    """When a file is removed by itself."""

    anchor: Literal["created_at"]
    """What the time counts from."""

    seconds: int = Field(ge=_HOUR, le=_MONTH)
    """How long the file is kept."""


class FileForm(Strict):
    """The fields of a file that is sent as a form, beside the file."""

    purpose: GivenPurpose
    """What the file is for; files of training need `fine-tune`."""

    expires_after: ExpiresAfter | None = None
    """When the file is removed by itself. Left out: never."""


class UploadRequest(Strict):
    """A file that will come in parts."""

    bytes: int = Field(ge=1, le=2**53)
    """How many the parts will have together."""

    filename: Text
    """What the file is called: told again, and never used for anything."""

    mime_type: Text
    """Of which kind it says it is."""

    purpose: GivenPurpose
    """What the file is for; files of training need `fine-tune`."""

    expires_after: ExpiresAfter | None = None
    """When the file is removed by itself. Left out: never."""


class UploadComplete(Strict):
    """The end of an upload."""

    part_ids: list[Text] = Field(min_length=1, max_length=MOST_PARTS)
    """Its parts, in the order in which they make the file."""

    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")] | None = None
    """The MD5 of the whole file in hexadecimal, which is compared."""


class Hyperparameters(Strict):
    """How long and how fast a job learns."""

    n_epochs: Epochs = "auto"
    """How often all rows are learned from."""

    batch_size: BatchSize = "auto"
    """Rows a step."""

    learning_rate_multiplier: Multiplier = "auto"
    """By what the learning rate is multiplied."""


class DpoHyperparameters(Hyperparameters):
    """How long and how fast a job learns preferences."""

    beta: Beta = "auto"
    """How strongly the model is held to what it was."""


class Supervised(Strict):
    """Learning from answers."""

    hyperparameters: Hyperparameters | None = None
    """Left out: all `auto`."""


class Dpo(Strict):
    """Learning from pairs of answers, of which one is preferred."""

    hyperparameters: DpoHyperparameters | None = None
    """Left out: all `auto`."""


class MethodRequest(Strict):
    """By what method a job learns."""

    type: Literal["supervised", "dpo"]
    """Which one; reinforcement learning is not offered."""

    supervised: Supervised | None = None
    """Of the method `supervised`."""

    dpo: Dpo | None = None
    """Of the method `dpo`."""


class JobRequest(Strict):
    """A fine-tuning job."""

    model: Text
    """A base of the studio, or a model that one of your jobs made."""

    training_file: Text
    """The id of a file with the purpose `fine-tune`."""

    validation_file: Text | None = None
    """The id of another, which is never learned from."""

    method: MethodRequest | None = None
    """Left out: supervised."""

    hyperparameters: Hyperparameters | None = None
    """The older form of what stands in `method`; only one of the two may be sent."""

    suffix: Annotated[str, AfterValidator(_as_suffix)] | None = None
    """Becomes part of the name of the model."""

    seed: int | None = Field(default=None, ge=0, le=_LONGEST_SEED)
    """Decides everything that is drawn by chance. Left out: drawn itself, and told."""

    metadata: dict[MetadataName, MetadataValue] | None = Field(default=None, max_length=_MOST_METADATA)
    """Anything of your own, by which jobs can be listed."""

    integrations: list[Any] | None = Field(default=None, max_length=0)
    """Must be empty: a studio sends nothing to other services."""

    def resolved_method(self) -> dict[str, Any]:
        """`{"type": …, type: {"hyperparameters": …}}`, with `auto` for whatever was left out."""
        kind = "supervised" if self.method is None else self.method.type
        block = self.method and (self.method.supervised or self.method.dpo)
        given = block.hyperparameters if block else self.hyperparameters
        whole = given or (DpoHyperparameters() if kind == "dpo" else Hyperparameters())
        return {"type": kind, kind: {"hyperparameters": whole.model_dump()}}
