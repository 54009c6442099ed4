"""What is public is said to be, and what is said to be public is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tunesmith

SOURCE = Path(tunesmith.__file__).parent
MODULES = {
    ".".join(("tunesmith", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.name != "__main__.py"
}
HEAVY = ("torch", "transformers", "sklearn", "fastapi", "pyarrow", "pandas", "scipy", "numpy", "accelerate")


def _defined(tree: ast.Module) -> set[str]:
    """Functions, classes and constants; types are only public where another module takes them."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                found = [
                    part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
                ]
                names |= {name for name in found if name.isupper() or name.islower()}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def test_all_is_complete_and_true(trees: dict[str, ast.Module]) -> None:
    for name, tree in trees.items():
        module = import_module(name)
        public = getattr(module, "__all__", [])
        assert ast.get_docstring(tree), f"{name} does not say what it is"
        assert _defined(tree) <= set(public), name
        assert len(public) == len(set(public)), name
        assert [missing for missing in public if not hasattr(module, missing)] == [], name


def test_modules_take_only_what_is_public(trees: dict[str, ast.Module]) -> None:
    taken = [
        (name, node.module, alias.name)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tunesmith")
        for alias in node.names
        if f"{node.module}.{alias.name}" not in MODULES
    ]
    assert [(name, home, what) for name, home, what in taken if what not in import_module(home).__all__] == []


@pytest.mark.parametrize("name", tunesmith.__all__)
def test_every_name_of_the_package_resolves(name: str) -> None:
    assert getattr(tunesmith, name) is not None
    assert name in dir(tunesmith)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="trian"):
        tunesmith.trian  # noqa: B018


def test_functions_are_not_hidden_by_modules_of_their_name() -> None:
    for name in MODULES:
        import_module(name)
    public = {name: getattr(tunesmith, name) for name in tunesmith.__all__}
    assert [name for name, value in public.items() if type(value).__name__ == "module"] == []
    assert all(callable(public[name]) for name in ("train", "evaluate", "check", "read", "split", "load"))


def _loaded(code: str) -> list[str]:
    tell = f"{code}\nprint('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{tell}"], capture_output=True, text=True, check=True
    )
    return done.stdout.rpartition("loaded:")[2].split()


@pytest.mark.parametrize(
    "code",
    [
        "import tunesmith",
        "import tunesmith as ts; dir(ts); ts.Task(); ts.Recipe(); ts.Problem; ts.Listener; ts.UserError",
        "from tunesmith.cli.main import app; app(['--help'], standalone_mode=False)",
        "from tunesmith.cli.main import app; app(['train', '--help'], standalone_mode=False)",
        "from tunesmith.cli.main import app; app(['schema', 'recipe'], standalone_mode=False)",
    ],
)
def test_what_is_light_loads_nothing_heavy(code: str) -> None:
    assert _loaded(code) == []
