"""Hold the documentation to the code; `--write` renews the parts that are made from it.

Generated parts must be current, relative links and images must lead somewhere, and the headings of
docs/errors.md must be the error codes of the source, in order, and tests that pages name must be there.
Exits 1 with one line a fault.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from generated_docs import MAKERS, renewed

__all__ = ["code_faults", "error_codes", "generated_faults", "link_faults", "main", "pages", "test_faults"]

_ROOT = Path(__file__).resolve().parents[1]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*\ssrc="([^"]+)"')
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ERRORS = "docs/errors.md"


def pages(root: Path) -> list[Path]:
    """Every page that people read."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md"))]


def generated_faults(root: Path, *, write: bool) -> Iterator[str]:
    """Generated parts that are not what the code says now; `write` renews them instead."""
    for name, parts in MAKERS.items():
        text = (root / name).read_text(encoding="utf-8")
        try:
            new = renewed(text, parts)
        except ValueError as error:
            yield f"{name}: {error}"
            continue
        if new != text and write:
            (root / name).write_text(new, encoding="utf-8")
        elif new != text:
            yield f"{name}: a generated part is out of date; run scripts/check_docs.py --write"


def link_faults(root: Path) -> Iterator[str]:
    """Relative links, anchors and images that lead nowhere."""
    for page in pages(root):
        for found in _LINK.finditer(_prose(page)):
            link = found[1] or found[2]
            if not re.match(r"[a-z]+:", link) and not _leads_somewhere(page, link):
                yield f"{page.relative_to(root)}: {link} leads nowhere"


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_faults(root: Path) -> Iterator[str]:
    """Error codes without a heading, headings without a code, and headings out of order."""
    codes, unclear = error_codes(root / "src")
    headings = re.findall(r"^## (\S+)$", (root / _ERRORS).read_text(encoding="utf-8"), re.MULTILINE)
    yield from unclear
    for code in sorted(codes.difference(headings)):
        yield f"{_ERRORS}: there is no heading for the error code {code}"
    for heading in sorted(set(headings) - codes):
        yield f"{_ERRORS}: {heading} is no error code of the source"
    if headings != sorted(set(headings)):
        yield f"{_ERRORS}: the headings are not in alphabetical order, each once"


def test_faults(root: Path) -> Iterator[str]:
    """Tests that a page names, as `tests/file.py::name`, and that are not there."""
    for page in pages(root):
        for file, name in _TEST.findall(page.read_text(encoding="utf-8")):
            if name not in _functions(root / file):
                yield f"{page.relative_to(root)}: there is no test {file}::{name}"


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def error_codes(source: Path) -> tuple[set[str], list[str]]:
    """Every error code in the Python files under `source`, and complaints where one cannot be told.

    A code is a literal that is given, by place or by name, to a parameter or field called `code` of
    anything the source defines, or that is assigned to a variable of that name.
    """
    paths = sorted(source.rglob("*.py"))
    nodes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    takers = dict(taker for _, node in nodes for taker in _takers(node))
    codes: set[str] = set()
    unclear: list[str] = []
    for path, node in nodes:
        for value in _given(node, takers):
            match value:
                case ast.Constant(value=str() as code):
                    codes.add(code)
                case ast.Constant() | ast.Name(id="code") | ast.Attribute(attr="code"):
                    pass  # a number, or handed on from where the literal stands
                case _:
                    unclear.append(f"{path}:{value.lineno}: write the error code as a literal here")
    return codes, unclear


def _takers(node: ast.AST) -> Iterator[tuple[str, int]]:
    """The name of what takes a code, and in which place."""
    match node:
        case ast.FunctionDef(name=name) if name != "__init__":
            names = _parameters(node)
        case ast.ClassDef(name=name):
            begins = [_parameters(part) for part in node.body if isinstance(part, ast.FunctionDef)]
            begins = [names for names in begins if "code" in names]
            declared = [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
            names = (
                begins[0] if begins else [target.id for target in declared if isinstance(target, ast.Name)]
            )
        case _:
            return
    if "code" in names:
        yield name, names.index("code")


def _parameters(function: ast.FunctionDef) -> list[str]:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return [name for name in names if name not in ("self", "cls")]


def _given(node: ast.AST, takers: dict[str, int]) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in takers:
            yield from node.args[takers[name] : takers[name] + 1]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant() as value):
            yield value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = zip(names, values, strict=False)
            yield from (value for name, value in pairs if isinstance(name, ast.Name) and name.id == "code")


def main() -> int:
    """Print every fault; answer 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the generated parts")
    write = parser.parse_args().write
    faults = [*generated_faults(_ROOT, write=write), *link_faults(_ROOT), *code_faults(_ROOT)]
    faults += test_faults(_ROOT)
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
