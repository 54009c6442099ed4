from __future__ import annotations

import json
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jsonschema import validate

from tests.hostile import no_network
from tests.like_llama import like_llama_tokenizer
from tests.models import tiny_tokenizer
from tunesmith.data.template import DEFAULT_TEMPLATE
from tunesmith.errors import ConfigError
from tunesmith.model.generator import Generator, answer_ids
from tunesmith.scribe.choice import Matcher
from tunesmith.scribe.constraint import Constraints, refuse_without_llguidance
from tunesmith.scribe.request import AnyJson, Constraint, JsonSchema, OneOf
from tunesmith.scribe.vocabulary import Vocabulary

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["sport", "politics", "é😀"]},
        "of": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        "in": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]},
    },
    "required": ["label", "in"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}},
}


def _generator(tokenizer: Any) -> Generator:
    """A tokenizer with a model of which only the ends of its answers are asked."""
    tokenizer.chat_template = DEFAULT_TEMPLATE
    ends = SimpleNamespace(eos_token_id=[tokenizer.eos_token_id, 5])
    return Generator(tokenizer, 64, SimpleNamespace(generation_config=ends))


@pytest.fixture(scope="module", params=[tiny_tokenizer, like_llama_tokenizer])
def constraints(request: pytest.FixtureRequest) -> Constraints:
    generator = _generator(request.param())
    return Constraints(generator, Vocabulary(generator), Lock())


def _matcher(constraints: Constraints, constraint: Constraint) -> Matcher:
    (matcher,) = constraints.matchers(constraint, 1)
    assert matcher is not None
    return matcher


def _walk(constraints: Constraints, matcher: Matcher, seed: int, most: int = 400) -> tuple[str, bool]:
    """A text that is allowed, drawn by chance, and whether it came to its end."""
    vocabulary, random = constraints._vocabulary, np.random.default_rng(seed)
    data = b""
    for _ in range(most):
        allowed = np.flatnonzero(matcher.allowed())
        ends = vocabulary.end_ids & set(allowed.tolist())
        assert not ends or ends == vocabulary.end_ids, "all ends of an answer are alike"
        if ends:
            return data.decode(), True
        token = int(random.choice(allowed))
        data += vocabulary.bytes[token]
        matcher.take(token)
        if matcher.ended:
            return data.decode(), True
    return data.decode(errors="replace"), False


def test_what_is_allowed_is_what_the_schema_says(constraints: Constraints) -> None:
    matchers = constraints.matchers(JsonSchema(SCHEMA), 20)
    walks = [_walk(constraints, matcher, seed) for seed, matcher in enumerate(matchers) if matcher]
    whole = [json.loads(text) for text, ended in walks if ended]
    assert len(whole) > 10
    for answer in whole:
        validate(answer, SCHEMA)
    assert {answer["label"] for answer in whole} == {"sport", "politics", "é😀"}


def test_any_object_is_allowed_and_nothing_else(constraints: Constraints) -> None:
    text, ended = _walk(constraints, _matcher(constraints, AnyJson()), 1)
    assert text.lstrip(" ").startswith("{")
    assert not ended or isinstance(json.loads(text), dict)
    matcher = _matcher(constraints, AnyJson())
    for text in ("{", "}"):
        token = constraints._vocabulary.bytes.index(text.encode())
        assert not matcher.ended
        assert not matcher.allowed()[sorted(constraints._vocabulary.end_ids)].any()
        matcher.take(token)
    assert matcher.ended or matcher.allowed()[sorted(constraints._vocabulary.end_ids)].all()


def test_a_space_of_the_first_token_is_allowed_where_it_is_learned(constraints: Constraints) -> None:
    vocabulary = constraints._vocabulary
    matcher = _matcher(constraints, JsonSchema(SCHEMA))
    space = vocabulary.bytes.index(b" ")
    assert matcher.allowed()[space] == vocabulary.drops_first_space
    if vocabulary.drops_first_space:
        matcher.take(space)
        assert not matcher.allowed()[space]
    assert matcher.allowed()[vocabulary.bytes.index(b"{")]


def test_one_line_break_is_allowed_but_not_another(constraints: Constraints) -> None:
    data = constraints._vocabulary.bytes
    matcher = _matcher(constraints, AnyJson())
    for said in (b"{", b"\n", b" ", b" "):
        assert matcher.allowed()[data.index(said)]
        matcher.take(data.index(said))
    assert not matcher.allowed()[data.index(b"\n")]


def test_one_of_some_texts_is_spelled_as_it_is_learned(constraints: Constraints) -> None:
    texts = ("sport", "sports", "the senate")
    spelled = set[str]()
    for seed in range(30):
        random, matcher, said = np.random.default_rng(seed), _matcher(constraints, OneOf(texts)), list[int]()
        while not said or said[-1] not in constraints._vocabulary.end_ids:
            said.append(int(random.choice(np.flatnonzero(matcher.allowed()))))
            matcher.take(said[-1])
        tokenizer = constraints._generator.tokenizer
        spelled.add(tokenizer.decode(said[:-1]))
        assert answer_ids(tokenizer, tokenizer.decode(said[:-1])).tolist()[: len(said)] == said
    assert spelled == set(texts)


def test_an_end_that_is_ordinary_text_is_not_part_of_a_text(constraints: Constraints) -> None:
    generator = constraints._generator
    other = Generator(
        generator.tokenizer, 64, SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=7))
    )
    matcher = _matcher(Constraints(other, Vocabulary(other), Lock()), OneOf(("sport",)))
    said: list[int] = []
    while said[-1:] != [7]:
        said += np.flatnonzero(matcher.allowed()).tolist()
        matcher.take(said[-1])
    assert generator.tokenizer.decode(said[:-1]) == "sport"


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"not": {"type": "string"}}, {"a": float("nan")}])
def test_a_schema_that_cannot_be_followed_is_refused(
    constraints: Constraints, schema: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="bad-schema") as caught:
        constraints.matchers(JsonSchema(schema), 1)
    (problem,) = caught.value.problems
    assert len(problem.what) < 400


def test_patterns_that_would_keep_the_machine_busy_for_long_are_refused(constraints: Constraints) -> None:
    patterns = [{"pattern": f"(.*a.{{{each}}})"} for each in range(1, 21)]
    hostile = {
        "allOf": patterns,
        "$defs": {str(at): each | {"$ref": f"#/$defs/{at + 1}"} for at, each in enumerate(patterns)},
    }
    for schema in ({"allOf": patterns}, {"$ref": "#/$defs/0", "$defs": hostile["$defs"]}):
        with pytest.raises(ConfigError, match=r"bad-schema.*more than 8 patterns"):
            constraints.matchers(JsonSchema({"type": "string", **schema}), 1)
    fields = {str(at): {"type": "string", "pattern": f"^a{{{at}}}$"} for at in range(20)}
    assert constraints.matchers(JsonSchema({"type": "object", "properties": fields}), 1)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.json", "file:///etc/passwd"])
def test_no_schema_is_fetched(constraints: Constraints, address: str) -> None:
    with no_network() as asked, pytest.raises(ConfigError, match="bad-schema"):
        constraints.matchers(JsonSchema({"$ref": address}), 1)
    assert asked == []


def test_what_a_schema_says_to_the_library_changes_nothing(constraints: Constraints) -> None:
    schema = {"x-guidance": {"lenient": True}, "not": {"type": "string"}}
    with pytest.raises(ConfigError, match="bad-schema"):
        constraints.matchers(JsonSchema(schema), 1)


def test_where_the_extra_is_missing_it_is_said() -> None:
    with pytest.raises(ConfigError, match=r"studio-extra(.|\n)*tunesmith\[studio\]"):
        refuse_without_llguidance(lambda _name: None)
    refuse_without_llguidance()
