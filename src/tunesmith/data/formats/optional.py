"""Packages that only some formats need."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tunesmith.data.problems import refuse

__all__ = ["needed"]


def needed(module: str, package: str, what: str, path: Path) -> Any:
    """Import `module`; raise DataError where its package is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        fix = "install it: pip install 'tunesmith[data]'; or save the rows as CSV, JSON Lines or Parquet"
        raise refuse(
            "data-extra", f"{what} need the package {package}, which is not installed", path, fix
        ) from None
