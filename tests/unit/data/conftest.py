"""What the tests of the data room share."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tunesmith.errors import Problem, UserError

Save = Callable[[str, str | bytes], Path]
Refused = Callable[[Callable[[], object]], Problem]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a file, compressed as its suffix says."""

    def save_file(name: str, content: str | bytes) -> Path:
        data = content.encode() if isinstance(content, str) else content
        match Path(name).suffix:
            case ".gz":
                data = gzip.compress(data)
            case ".zst":
                data = zstandard.ZstdCompressor().compress(data)
            case ".xz":
                data = lzma.compress(data)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return save_file


@pytest.fixture
def refused() -> Refused:
    """The only problem with which an action is refused."""

    def refusal(action: Callable[[], object]) -> Problem:
        with pytest.raises(UserError) as caught:
            action()
        (problem,) = caught.value.problems
        return problem

    return refusal


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the repository."""
    path = Path(__file__).parents[4] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the shared data sets are not here")
    return path
