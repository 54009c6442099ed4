"""Studios with a base of two tiny layers, so that a job takes a second or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models import save_tiny_base
from tests.studio import Studio, new_studio
from tunesmith.studio.work.diary import Diary

AtStep = Callable[[int, Callable[[], None]], None]


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base") / "small", n_positions=128)


@pytest.fixture
def studio(tmp_path: Path, small_base: Path) -> Iterator[Studio]:
    made = new_studio(f"sqlite:///{tmp_path}/studio/studio.db", tmp_path / "studio", small_base)
    yield made
    made.close()


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> AtStep:
    """Let something happen when a step is told for the first time."""

    def arrange(step: int, act: Callable[[], None]) -> None:
        told = Diary.tell
        acted: list[int] = []

        def tell(diary: Diary, message: str, **values: object) -> None:
            told(diary, message, **values)  # type: ignore[arg-type]
            if message.startswith(f"Step {step}/") and not acted:
                acted.append(step)
                act()

        monkeypatch.setattr(Diary, "tell", tell)

    return arrange
