"""A studio through kills, lost replies, frozen workers, cut uploads, bad lines, full disks and the like.

    python -m benchmarks.chaos [--parts kills zombies …] [--share 1.0] [--out FILE]

Each part does what the tests in tests/chaos do, many more times. Writes benchmarks/results/chaos.json after
each part, beside the parts that were measured before. Only root on Linux can fill a disk of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.chaos.bad_lines import find_bad_lines
from tests.chaos.full_disk import can_mount, fill_the_disk
from tests.chaos.fuzzed import fuzzed_studio
from tests.chaos.kills import kill_all_along
from tests.chaos.replies import cut_uploads, lose_replies
from tests.chaos.zombies import freeze_again_and_again
from tests.models import save_tiny_base
from tests.tormenting import Fuzzed

from benchmarks.machine import machine

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "chaos.json"
SEED = 1
# of each operation, in a round
EXAMPLES = 60
# the last of so many rounds also deletes what there is
ROUNDS_OF_A_STUDIO = 4
Measured = dict[str, Any]


def figures(found: Any) -> Measured:
    """The fields of what was found; `asdict` cannot copy counters."""
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}


def kills(place: Path, base: Path, share: float) -> Measured:
    """Of server and workers, while jobs are asked for and trained."""
    found = kill_all_along(place, base, jobs=round(500 * share), kills=round(200 * share), seed=SEED)
    return {**figures(found), "faults": found.faults}


def replies(place: Path, base: Path, share: float) -> Measured:
    """Lost ones, of requests that make jobs."""
    found = lose_replies(place, base, replies=round(1000 * share))
    return {**figures(found), "faults": found.faults}


def zombies(place: Path, base: Path, share: float) -> Measured:
    """Workers that wake after others took over."""
    return figures(freeze_again_and_again(place, base, zombies=round(100 * share), seed=SEED))


def cuts(place: Path, base: Path, share: float) -> Measured:
    """Uploads that break off."""
    return figures(cut_uploads(place, base, cuts=round(500 * share), seed=SEED))


def lines(place: Path, base: Path, share: float) -> Measured:
    """Bad ones, in a file of a gigabyte."""
    size = round(share * (1 << 30))
    return figures(find_bad_lines(place, base, lines=round(10_000 * share), file_bytes=size, seed=SEED))


def disks(place: Path, base: Path, share: float) -> Measured:
    """Full ones."""
    if not can_mount():
        raise SystemExit("only root on Linux can fill a disk of its own")
    return figures(fill_the_disk(place, base, fills=round(100 * share)))


def requests(place: Path, base: Path, share: float) -> Measured:
    """Such as schemathesis makes of the studio's schema."""
    found, rounds = Fuzzed(), itertools.count(1)
    while found.total < 50_000 * share:
        with fuzzed_studio(place / str(found.total), base) as studio:
            for at in range(ROUNDS_OF_A_STUDIO):
                deletes = at == ROUNDS_OF_A_STUDIO - 1
                more = studio.fuzz(EXAMPLES, SEED + next(rounds), deletes=deletes)
                found.cases += more.cases
                found.faults += more.faults
                print(f"{found.total:,} requests, {found.faults.total()} faults", flush=True)
    return {"versions": {"schemathesis": version("schemathesis")}, **found.figures()}


PARTS: Mapping[str, Callable[[Path, Path, float], Measured]] = MappingProxyType(
    {each.__name__: each for each in (kills, replies, zombies, cuts, lines, disks, requests)}
)


def main() -> None:
    """Measure, print and save; exit 1 where anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers that are asked for")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    saved = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for name in asked.parts:
        with tempfile.TemporaryDirectory() as directory:
            root, began = Path(directory), time.monotonic()
            found = PARTS[name](root / "studio", save_tiny_base(root / "base"), asked.share)
        about = {"machine": machine(), "seconds_in_all": round(time.monotonic() - began, 1)}
        saved[name] = {**about, **found}
        asked.out.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(saved[name])[:600], flush=True)
    raise SystemExit(any(saved[name]["faults"] for name in asked.parts))


if __name__ == "__main__":
    main()
