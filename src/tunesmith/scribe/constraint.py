"""What an answer must be -> which tokens may come next: JSON by llguidance, some texts by their tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.generator import Generator, answer_ids
from tunesmith.scribe.choice import Matcher
from tunesmith.scribe.request import AnyJson, Constraint, JsonSchema, OneOf
from tunesmith.scribe.vocabulary import Vocabulary

__all__ = ["Constraints", "refuse_without_llguidance"]

_Flags = npt.NDArray[np.bool_]
# one space, or one line break and what indents the next line: a weak model may not write spaces for ever
_WHITESPACE = r" |\n[ \t]{0,64}"
_WHERE = "the schema of the answer"
# where parts of a schema hold together, each pattern more doubles the time to find whether a text fits all
_MOST_PATTERNS = 8
_JOINING = frozenset({"allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "patternProperties"})


def refuse_without_llguidance(find: Callable[[str], Any] = find_spec) -> None:
    """Raise ConfigError where the extra is not installed."""
    if find("llguidance") is None:
        what = "answers in JSON need llguidance, which this Python lacks"
        fix = "install it: pip install 'tunesmith[studio]'"
        raise ConfigError(Problem("studio-extra", what, "this Python", fix))


class Constraints:
    """Makes what follows an answer and says how it may go on, for one model; from any thread.

    `tokenizing` is held while the tokenizer is used.
    """

    def __init__(self, generator: Generator, vocabulary: Vocabulary, tokenizing: Lock) -> None:
        self._generator, self._vocabulary = generator, vocabulary
        self._tokenizing = tokenizing

    def matchers(self, constraint: Constraint | None, count: int) -> Sequence[Matcher | None]:
        """One for each of `count` answers. Raises ConfigError: `bad-schema`, or `studio-extra` is missing."""
        match constraint:
            case None:
                return [None] * count
            case OneOf(texts):
                names = [self._name(text) for text in texts]
                return [_OneOf(names, len(self._vocabulary.bytes)) for _ in range(count)]
            case AnyJson():
                return self._json({"type": "object"}, count)
            case JsonSchema(schema):
                return self._json(schema, count)

    def _name(self, text: str) -> tuple[int, ...]:
        """The tokens of a text as an answer, up to the first that ends it."""
        ends = self._vocabulary.end_ids
        with self._tokenizing:
            ids = answer_ids(self._generator.tokenizer, text).tolist()
            end = next((at for at, token in enumerate(ids) if token in ends), None)
            if end is None:
                # the template ends turns with ordinary text
                ids = self._generator.tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*ids[:end], min(ends) if end is None else ids[end])

    def _json(self, schema: Mapping[str, Any], count: int) -> Sequence[Matcher]:
        refuse_without_llguidance()
        with self._tokenizing:
            tokenizer = self._tokenizer
        held = {**schema, "x-guidance": {"whitespace_pattern": _WHITESPACE, "lenient": False}}
        found = _followed(tokenizer, held)
        if self._vocabulary.drops_first_space:
            found = _followed(tokenizer, held, behind_space=True)
        return [_Json(found.deep_copy(), self._vocabulary.end_ids) for _ in range(count)]

    @cached_property
    def _tokenizer(self) -> Any:
        from llguidance import LLTokenizer, TokenizerWrapper

        given = _Given(self._generator.tokenizer, self._vocabulary)
        return LLTokenizer(TokenizerWrapper(given), eos_token=sorted(self._vocabulary.end_ids))


def _followed(tokenizer: Any, schema: Mapping[str, Any], *, behind_space: bool = False) -> Any:
    """llguidance's matcher; the first token may begin with a space where those that are learned do."""
    from llguidance import LLMatcher, LLParserLimits

    try:
        said = json.dumps(schema, allow_nan=False)
        _refuse_many_patterns(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise _bad_schema(str(error)) from error
    grammar = LLMatcher.grammar_from_json_schema(said)
    if behind_space:
        grammar = LLMatcher.grammar_from_lark(f'start: " "? answer\nanswer: %json {said}')
    # its errors would hold the schema and what was written
    found = LLMatcher(tokenizer, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
    if not found.is_error():
        # what a grammar needs that this vocabulary lacks shows when it is first asked
        found.compute_bitmask()
    if found.is_error():
        raise _bad_schema(found.get_error())
    return found


def _refuse_many_patterns(schema: Mapping[str, Any]) -> None:
    words = [(name, json.dumps(value)) for each in _objects_in(schema) for name, value in each.items()]
    patterns = {value for name, value in words if name in ("pattern", "format")}
    if len(patterns) > _MOST_PATTERNS and not _JOINING.isdisjoint(name for name, _ in words):
        raise ValueError(
            f"it has more than {_MOST_PATTERNS} patterns and formats, and keywords such as allOf or $ref "
            "that may let a text have to fit them all"
        )


def _objects_in(value: object) -> Iterator[Mapping[str, Any]]:
    match value:
        case dict():
            yield value
            for part in value.values():
                yield from _objects_in(part)
        case list():
            for part in value:
                yield from _objects_in(part)


def _bad_schema(why: str) -> ConfigError:
    what = f"no answer can be held to this JSON schema: {' '.join(why.split())[:300]}"
    fix = "use the keywords of JSON Schema that describe what is there; most of draft 2020-12 is known"
    return ConfigError(Problem("bad-schema", what, _WHERE, fix))


class _Given:
    """A tokenizer as llguidance asks for it: every token's bytes, and the tokens of what must come next."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        self.tokens = vocabulary.bytes
        self.special_token_ids = sorted(vocabulary.special_ids)
        # a copy: another thread may set how long texts are cut while this one is asked
        self._backend = deepcopy(tokenizer.backend_tokenizer)
        self._backend.no_truncation()
        self._by_bytes = {data: token for token, data in enumerate(vocabulary.bytes) if data}
        self._longest = max(map(len, self._by_bytes))

    def __call__(self, text: bytes) -> list[int]:
        ids: list[int] = self._backend.encode(text.decode(errors="replace"), add_special_tokens=False).ids
        return ids if b"".join(self.tokens[token] for token in ids) == text else self._greedy(text)

    def _greedy(self, text: bytes) -> list[int]:
        """The longest token at each place: the tokenizer would begin with a space, or a character is cut."""
        found: list[int] = []
        while text:
            lengths = range(min(self._longest, len(text)), 0, -1)
            length = next((length for length in lengths if text[:length] in self._by_bytes), 0)
            if not length:
                return found
            found.append(self._by_bytes[text[:length]])
            text = text[length:]
        return found


class _Json:
    """Follows an answer in JSON."""

    def __init__(self, matcher: Any, end_ids: frozenset[int]) -> None:
        self._matcher, self._ends = matcher, sorted(end_ids)

    @property
    def ended(self) -> bool:
        return bool(self._matcher.is_stopped())

    def allowed(self) -> _Flags:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._refuse_error()
        flags = np.unpackbits(bits, bitorder="little").astype(np.bool_)
        flags[self._ends] = self._matcher.is_accepting()
        return flags

    def take(self, token: int) -> None:
        self._matcher.consume_token(token)
        self._refuse_error()

    def _refuse_error(self) -> None:
        if self._matcher.is_error():
            raise RuntimeError("the schema has become too complex to follow")


class _OneOf:
    """Follows an answer that is one of some names, each of which ends with an end of turn."""

    ended = False

    def __init__(self, names: Sequence[tuple[int, ...]], tokens: int) -> None:
        self._names, self._tokens = names, tokens
        self._taken = 0

    def allowed(self) -> _Flags:
        flags = np.zeros(self._tokens, np.bool_)
        flags[[name[self._taken] for name in self._names]] = True
        return flags

    def take(self, token: int) -> None:
        self._names = [name for name in self._names if name[self._taken] == token]
        self._taken += 1
