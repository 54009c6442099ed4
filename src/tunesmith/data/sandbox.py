"""Chat templates of strangers, run without reach, in bounded time and with bounded text."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

__all__ = ["FAILURES", "fill"]

FAILURES = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a template can end in that is its own fault."""

_SECONDS = 5.0
# no name that a template can write
_EACH, _SIZED = "each in time", "not too long"
_WIDE_FORMAT = re.compile(r"\d{4}|\*")
_WIDEST_INDENT = 16
# what pads, wraps or repeats to any length
_LEFT_OUT_FILTERS = ("batch", "center", "indent", "slice", "urlize", "wordwrap", "xmlattr")
_TEXT_METHODS = frozenset(
    {
        *("capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit", "isspace"),
        *("join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind"),
        *("rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
    }
)


def fill(source: str, values: Mapping[str, Any], most_chars: int) -> str:
    """Render a Jinja template; raises one of `FAILURES`.

    It gets no attribute that begins with an underscore, no method that changes a value, no file and no other
    template. It fails after some seconds, and where any text it makes has more than `most_chars` characters.
    """
    environment = _environment()
    environment.bounds.begin(most_chars)
    pieces, chars = [], 0
    for piece in _compiled(source).generate(values):
        chars += len(piece)
        environment.bounds.refuse_long(chars)
        pieces.append(piece)
    return "".join(pieces)


@cache
def _environment() -> _Bounded:
    return _Bounded(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])


@cache
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


class _Bounds(threading.local):
    """What the rendering of this thread may still take."""

    deadline = 0.0
    most_chars = 0

    def begin(self, most_chars: int) -> None:
        self.deadline = time.monotonic() + _SECONDS
        self.most_chars = most_chars

    def tick(self) -> None:
        if time.monotonic() > self.deadline:
            raise SecurityError(f"it takes more than {_SECONDS:g} seconds")

    def refuse_long(self, chars: int) -> None:
        if chars > self.most_chars:
            raise SecurityError(f"it makes more than {self.most_chars:,} characters")

    def sized(self, value: Any) -> Any:
        """The value, where it is not too long."""
        if isinstance(value, (str, list, tuple)):
            self.refuse_long(len(value))
        return value

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values, as long as there is time."""
        for value in values:
            self.tick()
            yield value


class _Bounded(ImmutableSandboxedEnvironment):
    """A sandbox whose loops, calls and texts come to an end."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.bounds = _Bounds()
        self.globals.pop("lipsum")
        self.globals |= {"raise_exception": _raise, "dict": _new_dict, "namespace": _Namespace}
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        self.filters |= {
            _EACH: self.bounds.each,
            _SIZED: self.bounds.sized,
            "format": self._format,
            "join": self._join,
            "replace": self._replace,
            "tojson": _json,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Guards().visit(super()._parse(source, name, filename))
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr not in _TEXT_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        # at once: jinja2 would only fail where such a value is used further
        raise SecurityError(f"it reaches for {attribute!r} of a {type(obj).__name__}")

    def wrap_str_format(self, value: Any) -> None:
        """Nothing: `str.format` is no method that a template may use, for it pads to any width."""

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        self.bounds.tick()
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str) and obj.__name__ == "replace":
            obj = partial(self._replace, owner)
        elif isinstance(owner, str) and obj.__name__ == "join":
            obj = partial(self._join, between=owner)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        match operator:
            case "*":
                self.bounds.refuse_long(_times(left, right))
            case "**":
                self.bounds.refuse_long(abs(left) ** min(abs(right), 64))
            case "%" if isinstance(left, str):
                return self._format(left, right)
        return self.bounds.sized(super().call_binop(context, operator, left, right))

    def _format(self, text: Any, *values: Any) -> str:
        if _WIDE_FORMAT.search(str(text)):
            raise SecurityError("it formats a text to a great width")
        return str(self.bounds.sized(str(text) % (values[0] if len(values) == 1 else values)))

    def _join(self, values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
        parts, chars = [], 0
        for value in self.bounds.each(values):
            parts.append(str(value if attribute is None else self.getattr(value, attribute)))
            chars += len(parts[-1]) + len(between)
            self.bounds.refuse_long(chars)
        return between.join(parts)

    def _replace(self, text: Any, old: str, new: str, count: int = -1) -> str:
        whole = str(text)
        self.bounds.refuse_long(len(whole) + whole.count(old) * len(new))
        return whole.replace(old, new, -1 if count is None else count)


def _times(left: Any, right: Any) -> int:
    """The length of a text or list that is repeated; 0 of numbers."""
    for value, count in ((left, right), (right, left)):
        if isinstance(value, (str, list, tuple)) and isinstance(count, int):
            return len(value) * count
    return 0


class _Guards(NodeTransformer):
    """Puts the bounds around loops and joined texts."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, _EACH, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return nodes.Filter(node, _SIZED, [], [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """`{% generation %}`, with which some templates mark what the assistant says: here it means nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(Namespace):
    """A namespace without names that begin with an underscore."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"it sets {name!r}, and no name may begin with an underscore")
        super().__setitem__(name, value)


def _raise(message: object) -> NoReturn:
    raise TemplateError(str(message))


def _new_dict(*pairs: Any, **values: Any) -> dict[Any, Any]:
    return dict(*pairs, **values)


def _json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, **others: Any
) -> str:
    if indent is not None and indent > _WIDEST_INDENT:
        raise SecurityError(f"it indents by more than {_WIDEST_INDENT}")
    return str(json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, **others))
