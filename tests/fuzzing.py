"""A server under all that its own OpenAPI schema allows, and under what it forbids."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis.engine import events, from_schema

from tests.tormenting import NDJSON, Fuzzed, answered

__all__ = ["KNOWN", "fuzz"]

Case = schemathesis.Case[Any]
KNOWN: Mapping[str, Sequence[str]] = {
    "query.model": ("one", "two", "none"),
    "path.name": ("one", "two", "none"),
    "body.model": ("one", "two", "none"),
    "body.label": ("politics", "sports", "weather", "none"),
    "body.name": ("one", "two", "three"),
    "body.path": ("one", "two", "damaged", "two/..", "../root/two", "none", "x" * 300),
}
"""Of `tunesmith serve`: what is only found by knowing it; the rest is up to chance"""

_UNKNOWN_TO_SCHEMAS = ("bad-model-path", "bad-model", "unknown-label")
_MODELS = 8


@schemathesis.serializer("text/csv")
def _as_it_is(_context: object, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer(NDJSON)
def _as_lines(_context: object, value: Any) -> bytes:
    return value if isinstance(value, bytes) else 2 * (json.dumps(value).encode() + b"\n")


@schemathesis.deserializer(NDJSON)
def _first_line(_context: object, response: schemathesis.Response) -> Any:
    """The schema describes one line; `every_line_conforms` sees to the others."""
    return json.loads(response.content.splitlines()[0])


@schemathesis.check
def every_line_conforms(_context: object, response: schemathesis.Response, case: Case) -> None:
    """Each line of an answer is as the schema says, and there is one for each that was sent."""
    if response.status_code != 200 or not _is_lines(response) or "classify" not in case.operation.path:
        return
    responses = case.operation.definition.raw["responses"]
    validator = jsonschema_rs.validator_for(responses["200"]["content"][NDJSON]["schema"])
    lines = response.content.splitlines()
    for line in lines:
        validator.validate(json.loads(line))
    assert len(lines) == sum(bool(line.strip()) for line in _sent(response).split(b"\n"))


def _sent(response: schemathesis.Response) -> bytes:
    body = response.request.body or b""
    assert isinstance(body, str | bytes), "it was made in one piece"
    return body.encode() if isinstance(body, str) else body


def _is_lines(response: schemathesis.Response) -> bool:
    return response.headers.get("content-type") == [NDJSON]


def _is_fault(_context: object, failure: Exception, _case: Case, response: schemathesis.Response) -> bool:
    """Whether the schema could have said so: it knows no directory and no label, and no single line."""
    if response.status_code in (400, 422):
        return json.loads(response.content)["error"]["code"] not in _UNKNOWN_TO_SCHEMAS
    if (
        "accepted" in str(getattr(failure, "title", ""))
        and response.status_code == 200
        and _is_lines(response)
    ):
        return not all(b'"error"' in line for line in response.content.splitlines())
    return True


def _is_fault_of_a_part(
    context: object, failure: Exception, case: Case, response: schemathesis.Response
) -> bool:
    """The same where much that a schema cannot say is refused by words."""
    return "rejected" not in str(getattr(failure, "title", "")) and _is_fault(
        context, failure, case, response
    )


def _few(url: str) -> Callable[..., None]:
    """Takes away models that were loaded, once there are many: each holds threads and memory."""
    # in the order in which they came, each once: a name may come again
    names = dict[str, None]()

    def after_call(context: object, case: Case, response: schemathesis.Response) -> None:
        if response.status_code == 201 and "model" in json.loads(response.content):
            name = json.loads(response.content)["model"]
            names.pop(name, None)
            names[name] = None
        if len(names) > _MODELS:
            del names[oldest := next(iter(names))]
            answered(url, "DELETE", f"/v1/models/{oldest}")

    return after_call


def fuzz(
    url: str,
    examples: int,
    seed: int,
    known: Mapping[str, Sequence[str]] = KNOWN,
    *,
    knows_all: bool = True,
    deletes: bool = True,
) -> Fuzzed:
    """Send requests that schemathesis makes of the schema at `url`, and hold the answers against it.

    `examples` are those of each operation, and how many sequences of operations there are. The same `seed`
    makes the same requests, as far as they do not repeat what was answered. `known` are values of parameters.
    With `knows_all`, whatever the schema allows must be accepted; without `deletes`, nothing is taken away.
    """
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json", config=_config(examples, seed, known))
    schema = schema if deletes else schema.exclude(method="DELETE")
    schema.hook("filter_failure")(_is_fault if knows_all else _is_fault_of_a_part)
    schema.hook("after_call")(_few(url))
    found = Fuzzed()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                _note(found, event.recorder)
            case events.NonFatalError():
                found.faults[f"{event.label}: {event.value!r}"] += 1
            case events.FatalError():
                raise event.exception
    return found


def _config(examples: int, seed: int, known: Mapping[str, Sequence[str]]) -> schemathesis.Config:
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
            "dictionaries": {name.replace(".", "-"): {"values": list(of)} for name, of in known.items()},
            "parameters": {
                name: {"dictionary": name.replace(".", "-"), "probability": 0.3} for name in known
            },
        }
    )


def _note(found: Fuzzed, recorder: Any) -> None:
    for key, interaction in recorder.interactions.items():
        label, response = recorder.cases[key].value.operation.label, interaction.response
        found.cases[label, response.status_code if response else 0] += 1
        if response is None:
            found.faults[f"{label}: no answer"] += 1
    for key, checks in recorder.checks.items():
        for failed in (check.failure_info for check in checks if check.failure_info):
            label = recorder.cases[key].value.operation.label
            found.faults[
                f"{label}: {failed.failure.title}: {failed.failure.message}: {failed.code_sample}"
            ] += 1
