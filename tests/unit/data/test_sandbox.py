"""Templates of strangers: what they may do, and that they come to an end."""

from __future__ import annotations

import pytest
from jinja2.exceptions import SecurityError, TemplateError

from tunesmith.data.sandbox import FAILURES, fill

MOST_CHARS = 10_000
GROWING = "{{% set ns = namespace(t='ab') %}}{{% for i in range(99) %}}{{% set ns.t = {} %}}{{% endfor %}}"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for m in said %}{{ m.role }}{{ m['content'] }}{{ loop.last }} {% endfor %}", "axFalse byTrue "),
        ("{{ said[-1].content|trim|upper }}{{ said|length }}", "Y2"),
        (GROWING.format("i") + "{{ ns.t + 1 }}", "99"),
        ("{{ said[0]|tojson }}", '{"role": "a", "content": "x"}'),
        ("{{ ['a', 'b']|join('-') }}{{ ','.join(['a', 'b']) }}", "a-ba,b"),
        ("{{ said|join('', attribute='role') }}", "ab"),
        ("{{ 'aXbX'|replace('X', 'y') }}{{ 'aXbX'.replace('X', 'y', 1) }}", "aybyaybX"),
        ("{{ 'ab'.replace('', '-') }}", "-a-b-"),
        ("{{ '%s=%d' % ('a', 1) }}{{ '%s'|format('b') }}{{ 'ab' * 2 }}{{ 2 ** 3 }}", "a=1babab8"),
        ("{{ 'a b'.split(' ')[-1] }}{{ 'x'.startswith('x') }}", "bTrue"),
        ("{{ dict(a=1).items()|list }}", "[('a', 1)]"),
        ("{% generation %}x{% endgeneration %}{% for i in range(9) %}{% break %}{% endfor %}", "x"),
        ("{{ missing }}{{ said[0].missing }}{{ missing is defined }}", "False"),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a') }}", "<a>"),
        ("{% for i in range(3) %}{{ loop.length }}{% else %}none{% endfor %}", "333"),
        ("{% if true %}\n  a\n{% endif %}\nb", "  a\nb"),
    ],
)
def test_what_templates_do(source: str, text: str) -> None:
    said = [{"role": "a", "content": "x"}, {"role": "b", "content": "y"}]
    assert fill(source, {"said": said}, MOST_CHARS) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ said.__init__.__globals__ }}",
        "{{ (1).__class__.__mro__ }}",
        "{{ raise_exception.__globals__ }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ said.append(1) }}",
        "{{ said[0].update({'role': 'x'}) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{:>99999999999}'.format(1) }}",
        "{{ 'a'.ljust(99999999999) }}",
        "{{ 'a'.encode() }}",
        "{{ 'a' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%099999999999d' % 1 }}",
        "{{ '%*d'|format(99999999999, 1) }}",
        "{{ {'a': [1]}|tojson(indent=99999999999) }}",
        GROWING.format("ns.t ~ ns.t"),
        GROWING.format("ns.t + ns.t"),
        GROWING.format("ns.t|replace('a', ns.t)"),
        GROWING.format("ns.t.replace('a', ns.t)"),
        GROWING.format("[ns.t, ns.t]|join"),
        "{{ ('ab' * 4000)|join('ab' * 4000) }}",
        "{% for i in range(99999) %}a{% endfor %}",
    ],
)
def test_what_they_may_not(source: str) -> None:
    said = [{"role": "a"}]
    with pytest.raises(SecurityError):
        fill(source, {"said": said}, MOST_CHARS)
    assert said == [{"role": "a"}]


@pytest.mark.parametrize(
    "source",
    [
        "{% set all = range(99999) %}"
        "{% for a in all %}{% for b in all %}{% for c in all %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
)
def test_without_end_they_are_ended(source: str) -> None:
    with pytest.raises(SecurityError, match="seconds"):
        fill(source, {}, MOST_CHARS)


@pytest.mark.parametrize(
    "source",
    [
        "{% if %}",
        "{{ missing.name }}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{% include 'other' %}",
        "{% import 'other' as x %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(999999999) }}",
        "{{ lipsum(9) }}",
        "{{ 'a'|center(9) }}",
        "{{ said|map('nothing')|list }}",
    ],
)
def test_what_fails_is_a_failure(source: str) -> None:
    with pytest.raises(FAILURES):
        fill(source, {"said": [1]}, MOST_CHARS)


def test_a_template_can_refuse_in_its_own_words() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        fill("{{ raise_exception('roles must alternate') }}", {}, MOST_CHARS)
