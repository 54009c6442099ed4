"""What no module may do: unpickle, run the code of a model, render a stranger's template, fetch an address.

Found in the syntax trees of all modules, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import tunesmith

SOURCE = Path(tunesmith.__file__).parent
NAMES = [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.rglob("*.py"))]
PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
# who opens an address, and why it is none that a stranger names
FETCHERS = {
    "hub.py": "asks only whether the hub answers",
    "score/on_ray.py": "asks whether the cluster that its user names answers",
    "studio/leaving/remote.py": "sends to the studio that its user names at the command line",
}
# who renders templates, and by what: those of strangers only in the sandbox
TEMPLATES = {
    "api/assets.py": "Environment",
    "data/sandbox.py": "ImmutableSandboxedEnvironment",
    "evaluation/page.py": "Environment",
}


@cache
def _nodes(name: str) -> Sequence[ast.AST]:
    return list(ast.walk(ast.parse((SOURCE / name).read_text("utf-8"))))


def _imports(name: str) -> Iterator[str]:
    for node in _nodes(name):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str() as module):
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)


@cache
def _calls(name: str) -> Sequence[tuple[str, ast.Call]]:
    """What is called, as it is written, and how."""
    return [(ast.unparse(node.func), node) for node in _nodes(name) if isinstance(node, ast.Call)]


def _option(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def test_nothing_is_unpickled_and_no_text_is_run() -> None:
    for name in NAMES:
        assert {module.partition(".")[0] for module in _imports(name)}.isdisjoint(PICKLERS), name
        called = dict(_calls(name))
        assert RUNNERS.isdisjoint(called), name
        of_torch = re.compile(r"torch\.(load|save|jit\.load|hub\..*)")
        assert not [call for call in called if of_torch.fullmatch(call)], name
        others = (".read_pickle", ".unsafe_load", "yaml.load")
        assert not [call for call in called if call.endswith(others)], name
        for call, node in _calls(name):
            if call in ("np.load", "np.save", "numpy.load"):
                assert _option(node, "allow_pickle") == "False", f"{name}:{node.lineno}"


def test_code_that_a_model_brings_is_never_run() -> None:
    """Whatever loads something of a model is told so, each time."""
    for name, (call, node) in ((each, found) for each in NAMES for found in _calls(each)):
        if call.endswith((".from_pretrained", ".from_config")):
            told = _option(node, "trust_remote_code") == "False"
            told |= any(each.arg is None and ast.unparse(each.value) == "options" for each in node.keywords)
            assert told, f"{name}:{node.lineno} does not say trust_remote_code"


def test_no_module_asks_for_code_of_a_model() -> None:
    for name, part in ((each, node) for each in NAMES for node in _nodes(each)):
        match part:
            case ast.keyword(arg="trust_remote_code", value=value):
                assert ast.unparse(value) == "False", name
            case ast.Dict(keys=keys, values=values):
                named = zip(keys, values, strict=True)
                found = [
                    ast.unparse(each)
                    for key, each in named
                    if isinstance(key, ast.Constant) and key.value == "trust_remote_code"
                ]
                assert set(found) <= {"False"}, name


def test_what_options_says_is_that_no_code_is_run() -> None:
    from tunesmith.model.base import embedded_base, loading_options

    assert loading_options(str(embedded_base()), None)["trust_remote_code"] is False


def test_templates_of_strangers_are_rendered_in_the_sandbox_alone() -> None:
    rendering = {
        name: made
        for name in NAMES
        for made in _imports(name)
        if re.fullmatch(r"jinja2\.(sandbox\.)?\w*Environment", made)
    }
    assert {name: made.rpartition(".")[2] for name, made in rendering.items()} == TEMPLATES
    calls = [(name, call) for name in NAMES for call, _ in _calls(name)]
    assert [name for name, call in calls if call.endswith("apply_chat_template")] == []
    for name in ("api/assets.py", "evaluation/page.py"):
        made = [node for call, node in _calls(name) if call == "Environment"]
        assert [_option(node, "autoescape") for node in made] == ["True"]


def test_every_table_that_a_person_opens_is_guarded_against_formulas() -> None:
    """Whoever writes CSV does so in one place, which guards; but for curves, which hold numbers only."""
    calls = [(name, call, node) for name in NAMES for call, node in _calls(name)]
    writers = {name for name, call, _ in calls if call in ("csv.writer", "csv.DictWriter")}
    assert writers == {"data/tables.py", "studio/work/results.py"}
    unguarded = {
        name
        for name, call, node in calls
        if call == "open_table" and _option(node, "guard_formulas") is not None
    }
    # the rows of a data set must read back as they were
    assert unguarded == {"data/write.py"}


def test_who_opens_an_address_is_known() -> None:
    found = set()
    for name in NAMES:
        imported = set(_imports(name))
        called = {call for call, _ in _calls(name)}
        asks = imported & {"urllib.request.urlopen", "urllib.request.build_opener", "http.client"}
        asks |= {each for each in imported if each.partition(".")[0] in ("requests", "httpx", "aiohttp")}
        if asks or any(call.endswith((".create_connection", "urlopen")) for call in called):
            found.add(name)
    assert found == FETCHERS.keys()


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.js")), ids=lambda path: path.name)
def test_no_script_of_a_page_makes_markup_of_text(path: Path) -> None:
    """What a page shows it sets as text."""
    script = path.read_text("utf-8")
    assert not re.search(
        r"(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script
    )


@pytest.mark.parametrize(
    "path",
    sorted(each for kind in ("*.html", "*.jinja") for each in SOURCE.rglob(kind)),
    ids=lambda path: path.name,
)
def test_no_template_of_a_page_leaves_text_as_it_is(path: Path) -> None:
    # a constant is no text of anyone's
    markup = re.sub(r"'[^'{}]*'\s*\|\s*safe\b", "", path.read_text("utf-8"))
    assert not re.search(r"\|\s*safe\b|autoescape\s+false|\son\w+\s*=|javascript:", markup)
