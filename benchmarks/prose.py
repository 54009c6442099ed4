"""The documentation that a machine holds -> English prose: a paragraph a line, empty lines between files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

from tunesmith.data.texts import same_text_key

__all__ = ["ROOTS", "is_prose", "prose_of", "write_documentation"]

ROOTS = (
    Path("/usr/share/man"),
    Path("/usr/share/doc"),
    Path("/usr/share/perl"),
    Path("/usr/share/info"),
    Path("/usr/share/vim"),
    *sorted(Path("/root/.rustup").glob("toolchains/stable*/share/doc/rust/html")),
)
"""What Debian and a Rust toolchain install: manual pages, pods, guides: all under free licences."""
_COMMON = frozenset(
    "the of to and a in is for that it with as on be are this by or an not you can".split()  # noqa: SIM905
)
_LEAST_WORDS = 12
_LEAST_COMMON, _LEAST_LETTERS = 0.2, 0.9
_LARGEST_BYTES = 2_000_000
# what a vendor's tools install is not under a free licence
_VENDORS = ("gcloud", "gsutil", "bq")
_MANUAL = re.compile(r"\.\d[a-z]*(\.gz)?$")
_ROFF_REQUEST = re.compile(r"^[.'](?:B|I|BR|RB|BI|IB|IR|RI|Nm|Xr|Ar|Fl|Cm|Pa)\s+(.*)$")
_ROFF_ESCAPES = (
    (re.compile(r"\\f(?:\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&%:/,|^]"), ""),
    (re.compile(r"\\-|\\\(hy|\\\[hy\]"), "-"),
    (re.compile(r"\\\(aq|\\\[aq\]|\\'|\\\(cq"), "'"),
    (re.compile(r"\\\(em"), " - "),
    (re.compile(r"\\\(l?dq|\\\([lr]q|\\\*\([LR]\""), '"'),
    (re.compile(r"\\[ ~0]"), " "),
    (re.compile(r"\\e"), r"\\"),
)
_POD_CODE = re.compile(r"[A-Z]<+\s?([^<>|]*)(?:\|[^<>]*)?\s?>+")


def write_documentation(out: Path, roots: tuple[Path, ...] = ROOTS) -> int:
    """Write the prose of all files below `roots`, every paragraph once; returns how many files had some."""
    seen: set[int] = set()
    files = 0
    with out.open("w", encoding="utf-8") as stream:
        for path in chain.from_iterable(sorted(root.rglob("*")) for root in roots):
            new = [text for text in prose_of(path) if same_text_key(text) not in seen]
            seen.update(map(same_text_key, new))
            if new:
                stream.write("\n".join(new) + "\n\n")
                files += 1
    return files


def prose_of(path: Path) -> Iterator[str]:
    """The paragraphs of a manual page, a pod, a page of HTML or a plain text that are English prose."""
    name = path.name.removesuffix(".gz")
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
        return
    if name.startswith(_VENDORS):
        return
    if "/man/" in str(path) and (not path.parent.name.startswith("man") or path.parent.parent.name != "man"):
        return  # another language
    if _MANUAL.search(name) and path.parent.name.startswith("man"):
        yield from filter(is_prose, _manual(_read(path)))
    elif name.endswith((".pod", ".pm")):
        yield from filter(is_prose, _pod(_read(path)))
    elif name.endswith((".html", ".htm")):
        yield from filter(is_prose, _html(_read(path)))
    elif name.endswith((".txt", ".md", ".rst", ".info")) or name.startswith(("README", "NEWS", "FAQ")):
        yield from filter(is_prose, _plain(_read(path)))


def is_prose(text: str) -> bool:
    """Whether a paragraph is sentences in English: no table, no code, no list of names."""
    words = text.split()
    if len(words) < _LEAST_WORDS or text[-1] not in ".!?:":
        return False
    letters = sum(char.isalpha() or char in " ,.'" for char in text)
    common = sum(word.lower() in _COMMON for word in words)
    return letters >= _LEAST_LETTERS * len(text) and common >= _LEAST_COMMON * len(words)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return ""


def _plain(text: str) -> Iterator[str]:
    yield from (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))


def _manual(text: str) -> Iterator[str]:
    """Roff: requests that only set type give their words, all others end a paragraph."""
    lines: list[str] = []
    for line in text.splitlines():
        request = _ROFF_REQUEST.match(line)
        if line.startswith((".", "'")) and not request:
            yield _joined(lines)
            lines = []
        else:
            lines.append(request[1].replace('"', "") if request else line)
    yield _joined(lines)


def _joined(lines: list[str]) -> str:
    text = " ".join(" ".join(lines).split())
    for pattern, replacement in _ROFF_ESCAPES:
        text = pattern.sub(replacement, text)
    return text


def _pod(text: str) -> Iterator[str]:
    within = False
    for block in re.split(r"\n[ \t]*\n", text):
        command = block.lstrip("\n").startswith("=")
        within = not block.lstrip("\n").startswith("=cut") if command else within
        if within and not command and not block.startswith((" ", "\t")):
            yield " ".join(_POD_CODE.sub(r"\1", block).split())


def _html(text: str) -> Iterator[str]:
    reader = _Paragraphs()
    reader.feed(text)
    yield from reader.found


class _Paragraphs(HTMLParser):
    """What stands in paragraphs, list items and definitions."""

    _BLOCKS = frozenset(("p", "li", "dd", "td", "h1", "h2", "h3", "pre", "div", "script", "style"))
    _KEPT = frozenset(("p", "li", "dd"))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._words: list[str] = []
        self._keeps = False

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._BLOCKS:
            self._end()
            self._keeps = tag in self._KEPT

    def handle_endtag(self, tag: str) -> None:
        if tag in self._BLOCKS:
            self._end()
            self._keeps = False

    def handle_data(self, data: str) -> None:
        if self._keeps:
            self._words.append(data)

    def _end(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self.found.append(text)
