"""A page of HTML as it was scraped -> the words of its article, without menus and comments."""

from __future__ import annotations

from pathlib import Path

from tunesmith.data.formats.optional import needed

__all__ = ["article", "is_page"]


def is_page(path: Path) -> bool:
    """Whether a file is HTML by its name."""
    return path.suffix.lower() in (".html", ".htm", ".xhtml")


def article(page: str, path: Path) -> str:
    """The headline and the paragraphs, a line each; empty where the page holds no article.

    Raises DataError where the package that finds them is not installed.
    """
    trafilatura = needed("trafilatura", "trafilatura", "pages of HTML", path)
    # precision over recall: what is no article misleads a classifier more than a lost line does
    options = {"include_comments": False, "include_tables": False, "favor_precision": True}
    return trafilatura.extract(page, **options) or ""
