"""A directory for each class with a text file for each text -> rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.formats.articles import article, is_page
from tunesmith.data.formats.encoding import Encoding, detect
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, Row, too_long
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["rows"]

_SHOWN_NAMES = 5
# as they are decoded with `surrogateescape`
_NO_CHARACTER, _BEYOND_ASCII = re.compile("[\ud800-\udfff]"), re.compile(r"[^\x00-\x7f]")


def rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The files of every class directory in order of their names: columns "text" and "label".

    Hidden files are left out. A file that is not UTF-8 is read all the same, with a warning. Of a page of
    HTML the article is read, and a page without one is left out, with a warning.
    """
    classes = [(child, _visible(child, files=True)) for child in _visible(path, files=False)]
    if not any(files for _, files in classes):
        raise refuse("no-class-folders", *_what_stands_instead(path))
    for directory, files in classes:
        for file in files:
            text = _text(file, log)
            if text is not None:
                yield Row({"text": text, "label": directory.name}, 1, str(file))


def _visible(directory: Path, *, files: bool) -> list[Path]:
    children = (child for child in directory.iterdir() if not child.name.startswith("."))
    return sorted(child for child in children if (child.is_file() if files else child.is_dir()))


def _what_stands_instead(path: Path) -> tuple[str, Path, str]:
    what = "the directory holds no class directories with text files"
    deeper = [child for child in _visible(path, files=False) if _visible(child, files=False)]
    if deeper:
        return what, path, f"did you mean {deeper[0]}, in which there are directories?"
    files = _visible(path, files=True)
    if files:
        names = ", ".join(file.name for file in files[:_SHOWN_NAMES])
        return what, path, f"name one of its files ({names}), or make one directory for each label"
    return what, path, "make one directory for each label, with one text file for each text"


def _text(file: Path, log: ReadLog) -> str | None:
    """What a file says, None where it is no text."""
    with file.open("rb") as stream:
        data = stream.read(MAX_RECORD_CHARS + 1)
    if len(data) > MAX_RECORD_CHARS:
        raise too_long(file, 1)
    encoding = _encoding(data)
    if b"\0" in data and not encoding.name.startswith(("utf-16", "utf-32")):
        fix = "keep only text files in the class directories"
        log.fault("not-text", "the file is not text: it holds zero bytes", str(file), fix)
        return None
    text, bad = encoding.mended(data.decode(encoding.name, encoding.errors))
    if bad or encoding.guessed:
        what = f"the file is not UTF-8; it is read as {encoding.name}"
        fix = "save it as UTF-8 if accented letters or signs in it are wrong"
        log.fault("bad-encoding", what, str(file), fix, severity="warning")
    return _article(text, file, log) if is_page(file) else text


def _article(page: str, file: Path, log: ReadLog) -> str | None:
    found = article(page, file)
    if not found:
        fix = "look at the page: what fills it may be loaded by scripts, or stand behind a form"
        log.fault("no-words", "no article is found on this page", str(file), fix, severity="warning")
    return found or None


def _encoding(data: bytes) -> Encoding:
    """UTF-8 where any of its characters stands in the file, else what old desktops wrote."""
    encoding = detect(data, whole=True)
    if encoding.name != "utf-8":
        return encoding
    text = data.decode("utf-8", "surrogateescape")
    bad_chars = len(_NO_CHARACTER.findall(text))
    good_chars = len(_BEYOND_ASCII.findall(text)) - bad_chars
    return Encoding("cp1252", guessed=True) if bad_chars > good_chars else encoding
