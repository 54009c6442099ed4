"""A request's values -> ClassifyRequest, within the caps of this server and this model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    create_model,
)

from tunesmith.api.explain_schemas import ExplainRequest
from tunesmith.api.limits import shown_name
from tunesmith.api.refusal import Refusal
from tunesmith.api.schemas import ClassifyLine, ClassifyRequest
from tunesmith.api.settings import Settings

__all__ = ["DEFAULT_TOP_K", "explain_model", "line_model", "read_values", "request_model", "unknown_field"]

RequestT = TypeVar("RequestT", bound=BaseModel)


DEFAULT_TOP_K = 5
# a character that is no white space to `str.strip`, in words that every dialect of patterns understands
_SOMETHING = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


def request_model(labels: int, settings: Settings) -> type[ClassifyRequest]:
    """ClassifyRequest with the caps of this server and this model."""
    return _request_model(settings.max_characters, settings.max_texts, min(labels, settings.max_top_k))


def line_model(labels: int, settings: Settings) -> type[ClassifyLine]:
    """ClassifyLine with the caps of this server and this model."""
    return _line_model(settings.max_characters, min(labels, settings.max_top_k))


# pydantic takes its time to make one; models that are loaded while requests come mostly have the same caps
@lru_cache
def _request_model(characters: int, texts: int, top_k: int) -> type[ClassifyRequest]:
    text: Any = _text(characters)
    several: Any = Annotated[list[text], Field(min_length=1, max_length=texts, fail_fast=True)]
    either: Any = Annotated[text, Tag("text")] | Annotated[several, Tag("texts")]
    fields = ClassifyRequest.model_fields
    return create_model(
        "ClassifyRequest",
        __base__=ClassifyRequest,
        __doc__=ClassifyRequest.__doc__,
        input=(Annotated[either, Discriminator(_kind)], Field(description=fields["input"].description)),
        top_k=_top_k(top_k, fields["top_k"].description),
    )


@lru_cache
def _line_model(characters: int, top_k: int) -> type[ClassifyLine]:
    fields = ClassifyLine.model_fields
    return create_model(
        "ClassifyLine",
        __base__=ClassifyLine,
        __doc__=ClassifyLine.__doc__,
        input=(_text(characters), Field(description=fields["input"].description)),
        top_k=_top_k(top_k, fields["top_k"].description),
    )


@lru_cache
def explain_model(characters: int) -> type[ExplainRequest]:
    """ExplainRequest with a cap on its text."""
    return create_model(
        "ExplainRequest",
        __base__=ExplainRequest,
        __doc__=ExplainRequest.__doc__,
        input=(_text(characters), Field(description=ExplainRequest.model_fields["input"].description)),
    )


def _text(characters: int) -> Any:
    return Annotated[str, StringConstraints(min_length=1, max_length=characters, pattern=_SOMETHING)]


def _top_k(most: int, description: str | None) -> tuple[Any, Any]:
    kind: Any = Annotated[int, Field(ge=1, le=most)] | None
    how_many = f"{description} Left out: {min(most, DEFAULT_TOP_K)}."
    return kind, Field(default=None, description=how_many)


def _kind(value: object) -> str:
    return "texts" if isinstance(value, list) else "text"


def read_values(values: Mapping[str, object], model: type[RequestT]) -> RequestT:
    """Validate a request's values; raise Refusal in words, without repeating any text."""
    unknown = [name for name in values if name not in model.model_fields]
    if unknown:
        raise unknown_field(unknown[0], model.model_fields)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal(dict(error.errors(include_url=False)[0]), model) from None


def unknown_field(name: str, fields: Iterable[str]) -> Refusal:
    """What a request with a field hears that is none of `fields`."""
    fields = list(fields)
    near = difflib.get_close_matches(shown_name(name), fields, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"the fields are: {', '.join(fields)}"
    message = f"`{shown_name(name)}` is not a field of the request; {hint}"
    return Refusal("unknown-field", message, param=shown_name(name))


def _refusal(fault: Mapping[str, Any], model: type[BaseModel]) -> Refusal:
    param = _param(fault["loc"])
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            code, what = "missing-field", f"is missing: {model.model_fields[param].description}"
        case "string_too_short" | "string_pattern_mismatch":
            code, what = "empty-input", "is empty; a text needs something to read"
        case "too_short":
            code, what = "empty-input", "is a list without any text"
        case "too_long":
            most = f"{limits['max_length']:,}"
            code, what = "too-many-texts", f"has more than {most} texts; send them in several requests"
        case "string_too_long":
            code, what = "text-too-long", f"has more than {limits['max_length']:,} characters"
        case "greater_than_equal" | "less_than_equal" if param == "top_k":
            code, what = "bad-top-k", f"must be {_bound(limits)}"
        case "string_unicode":
            code, what = "bad-body", "holds half a character (a lone surrogate)"
        case _:
            code, what = "bad-field", f"cannot be used: {fault['msg']}"
    return Refusal(code, f"`{param}` {what}", param=param)


def _bound(limits: Mapping[str, Any]) -> str:
    return f"{limits['le']} or less" if "le" in limits else f"{limits['ge']} or more"


def _param(loc: Sequence[str | int]) -> str:
    """`input[3]`; what pydantic calls the branch of a union is left out."""
    return str(loc[0]) + "".join(f"[{part}]" for part in loc[1:] if isinstance(part, int))
