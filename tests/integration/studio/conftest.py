"""Studios with a base of two tiny layers, so that a job takes a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import save_tiny_base
from tests.studio import Studio, new_studio


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base") / "small", n_positions=128)


@pytest.fixture
def studio(tmp_path: Path, small_base: Path) -> Iterator[Studio]:
    made = new_studio(f"sqlite:///{tmp_path}/studio/studio.db", tmp_path / "studio", small_base)
    yield made
    made.close()
