"""WordNet's files, as Debian's `wordnet-base` holds them -> what each word means, as prose."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = ["DIRECTORY", "meanings", "write_wordnet"]

DIRECTORY = Path("/usr/share/wordnet")
_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
# neighbours in the files are near in meaning: a document of several is about something
_MEANINGS_A_DOCUMENT = 12


def write_wordnet(out: Path, directory: Path = DIRECTORY) -> int:
    """Write every meaning as a paragraph, twelve to a document; returns how many there were."""
    count = 0
    with out.open("w", encoding="utf-8") as stream:
        for name in _FILES:
            found = meanings(directory / name)
            while some := list(islice(found, _MEANINGS_A_DOCUMENT)):
                stream.write("\n".join(some) + "\n\n")
                count += len(some)
    return count


def meanings(path: Path) -> Iterator[str]:
    """`goal, end: the state of affairs that a plan is intended to achieve.` for each line of a data file."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            # the licence stands above the data, indented
            if not line.startswith(" "):
                fields, gloss = line.rstrip().split(" | ", 1)
                yield f"{_words(fields.split())}: {gloss.strip()}."


def _words(fields: list[str]) -> str:
    """Offset, file, kind and the number of words in hexadecimal, then each word and a digit."""
    found = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
    return ", ".join(word.replace("_", " ").partition("(")[0] for word in found)
