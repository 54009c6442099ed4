"""Which encoding a text file is in, and what becomes of bytes that are not in it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

__all__ = ["Encoding", "detect", "without_bad_chars"]

_BOMS = (  # the longer first: a UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# encodings in which people still save tables, all of which keep ASCII as it is
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "euc_jp", "euc_kr"]
_MOST_USED = "cp1252"
_FEWEST_BAD_LINES = 3
_GUESSED_FROM_BYTES = 1 << 16
_HALF_CHARS = re.compile("[\ud800-\udfff\0]")
_REPLACED_CHARS = re.compile("[\ud800-\udfff\0\ufffd]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of a file become text."""

    name: str
    guessed: bool = False

    @property
    def errors(self) -> str:
        """Python's error handler, which leaves a mark that `without_bad_chars` finds."""
        return "surrogateescape" if self.name.startswith("utf-8") else "replace"

    def mended(self, text: str) -> tuple[str, bool]:
        """The decoded text with U+FFFD for every bad byte and NUL, and whether there was one."""
        # in UTF-8 a U+FFFD was written by whoever saved the file and is no fault of the bytes
        return without_bad_chars(text, _HALF_CHARS if self.errors == "surrogateescape" else _REPLACED_CHARS)


def without_bad_chars(text: str, bad: re.Pattern[str] = _HALF_CHARS) -> tuple[str, bool]:
    """The text with U+FFFD for NULs and halves of surrogate pairs, and whether there was one."""
    if text.isascii() and "\0" not in text:
        return text, False
    mended, count = bad.subn("\ufffd", text)
    return mended, count > 0


def detect(sample: bytes, whole: bool) -> Encoding:
    """The encoding of a file from its first bytes (`whole`: from all of them).

    A byte-order mark decides; otherwise it is UTF-8, even with a few bad bytes. Where bad bytes are many
    and nothing looks like UTF-8, charset-normalizer guesses among the usual older encodings.
    """
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return Encoding(name)
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(sample, whole)
    if text.isascii():
        return Encoding("utf-8")
    lines = text.split("\n")
    bad_lines = [line for line in lines if _HALF_CHARS.search(line)]
    bad_chars = sum(len(_HALF_CHARS.findall(line)) for line in bad_lines)
    good_chars = sum(char > "\x7f" for char in text) - bad_chars
    few = len(bad_lines) < _FEWEST_BAD_LINES or 4 * len(bad_lines) < len(lines)
    if few or bad_chars <= good_chars:
        return Encoding("utf-8")
    return _guess("\n".join(bad_lines).encode("utf-8", "surrogateescape"))


def _guess(lines: bytes) -> Encoding:
    import charset_normalizer

    # a character of several bytes must not be cut: whole lines where there are any
    some = lines[:_GUESSED_FROM_BYTES].rpartition(b"\n")[0] or lines[:_GUESSED_FROM_BYTES]
    matches = charset_normalizer.from_bytes(some, cp_isolation=_LEGACY)
    best = matches.best()
    if best is None:
        return Encoding("utf-8")
    # of encodings that fit the bytes equally well, the most used is the likeliest
    as_good = {name for match in matches if match.chaos <= best.chaos for name in match.could_be_from_charset}
    return Encoding(_MOST_USED if _MOST_USED in as_good else best.encoding, guessed=True)
