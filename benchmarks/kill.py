"""A training killed at random moments, many of them inside a save, ends as one that nobody touched.

    python -m benchmarks.kill [--kills 200] [--inside-saves 0.5] [--seconds 600] [--out FILE]

Each run is killed by SIGKILL and gone on from with --resume, some times over; when it comes to its end, all
that lasts of it is compared with an uninterrupted run, and a new one begins.
Writes benchmarks/results/kill.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.forked import ended, import_heavy, start
from benchmarks.lasting import differing, keep_final, lasting, staged, where_killed

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "kill.json"
# the rivals, which take most of a run as short as this, have nothing to do with what is saved
OPTIONS = (
    *("--epochs", "8", "--set", "batch_tokens=45", "--set", "early_stopping=0"),
    *("--set", "rival_seconds=0"),
)
# of the saves still to come, one of the first so many is aimed at
SAVES_AHEAD = 6
# a run that goes on takes less than a whole one: later moments than this would mostly miss it
WITHIN = 0.6
# a save takes some milliseconds
POLL_SECONDS = 1e-3


@dataclass(slots=True)
class Campaign:
    """One run after the other, each trained to its end through kills."""

    place: Path
    chance: random.Random
    inside_saves: float
    """The share of kills that are aimed at saves"""
    whole: dict[str, str]
    """What an uninterrupted run leaves"""
    seconds: float
    """How long it takes"""
    last_step: int
    moments: Counter[str] = field(default_factory=Counter)
    kills_of_runs: list[int] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Kills so far."""
        return self.moments.total()

    def run_to_end(self, most_kills: int) -> None:
        """Train anew, killed at most so many times, and compare what is left."""
        out, before = self.place / f"run-{len(self.kills_of_runs)}", self.kills
        code: int | None = -signal.SIGKILL
        while code == -signal.SIGKILL:
            code = self._go_on(out, kill=self.kills - before < most_kills)
        if code:
            self.faults.append(f"{out.name}: exit {code}: {(self.place / 'log').read_text()[-2000:]}")
        self.differences += [f"{out.name}/{name}" for name in differing(self.whole, lasting(out))]
        self.kills_of_runs.append(self.kills - before)
        shutil.rmtree(out, ignore_errors=True)

    def _go_on(self, out: Path, *, kill: bool) -> int:
        """Train until the end or the next kill; returns the exit code."""
        at_save = self.chance.random() < self.inside_saves
        saves, delay = self.chance.randint(1, SAVES_AHEAD), self.chance.random() * WITHIN * self.seconds
        child, began, seen = train(self.place, out), time.monotonic(), set[str]()
        while (code := ended(child)) is None:
            keep_final(out, self.last_step)
            now = staged(out)
            seen |= now
            due = bool(now) and len(seen) >= saves if at_save else time.monotonic() - began > delay
            if kill and due:
                os.kill(child, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                break
            time.sleep(POLL_SECONDS)
        if code == -signal.SIGKILL:
            self.moments[where_killed(out)] += 1
        return code


def train(place: Path, out: Path) -> int:
    """Begin `tunesmith train`, or go on where something was begun; returns the child's id."""
    resume = ["--resume"] if (out / "run.json").exists() else []
    words = ["train", str(place / "news.jsonl"), "--base", str(place / "base"), "--out", str(out)]
    return start([*words, *OPTIONS, *resume], place / "log")


def uninterrupted(place: Path, name: str, last_step: int = 0) -> tuple[dict[str, str], float]:
    """What a run that nobody kills leaves, and how long it takes."""
    out, began = place / name, time.monotonic()
    child = train(place, out)
    while (code := ended(child)) is None:
        keep_final(out, last_step)
        time.sleep(POLL_SECONDS)
    if code:
        raise SystemExit((place / "log").read_text())
    return lasting(out), time.monotonic() - began


def make_inputs(place: Path) -> None:
    """A tiny base and rows for it, made by a child, since that starts threads."""
    child = os.fork()
    if not child:
        from tests.models import POLITICS, SPORTS, save_tiny_base

        save_tiny_base(place / "base")
        named = [(text, "sports") for text in SPORTS] + [(text, "politics") for text in POLITICS]
        rows = [{"text": f"{text} {i} rounds in", "label": label} for i in range(10) for text, label in named]
        (place / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the inputs could not be made")


def prepare(place: Path, asked: argparse.Namespace) -> Campaign:
    """Make the inputs and the uninterrupted run."""
    make_inputs(place)
    uninterrupted(place, "first")
    measured = (place / "first" / "metrics.jsonl").read_text().splitlines()
    last_step = int(json.loads(measured[-1])["step"])
    whole, seconds = uninterrupted(place, "second", last_step)
    assert ".finalstate" in whole, sorted(whole)
    return Campaign(place, random.Random(asked.seed), asked.inside_saves, whole, seconds, last_step)


def refuse_if_chance(campaign: Campaign) -> None:
    """End where runs that nobody kills differ, too: then kills are not to blame."""
    again, _ = uninterrupted(campaign.place, "third", campaign.last_step)
    if others := differing(campaign.whole, again):
        raise SystemExit(f"two whole runs differ in {others}")


def summary(campaign: Campaign, seconds: float) -> dict[str, Any]:
    """The figures that are printed and saved."""
    return {
        "kills": campaign.kills,
        "moments": dict(campaign.moments.most_common()),
        "runs_finished": len(campaign.kills_of_runs),
        "kills_of_each_run": campaign.kills_of_runs,
        "steps_a_run": campaign.last_step,
        "compared_files_a_run": len(campaign.whole),
        "differing_files": campaign.differences,
        "faults": campaign.faults,
        "seconds": round(seconds, 1),
    }


def show(found: dict[str, Any]) -> None:
    """Print the figures, and every difference and fault."""
    from rich.console import Console
    from rich.table import Table

    table = Table("moment of the kill", "kills", title="tunesmith train under SIGKILL")
    for moment, count in found["moments"].items():
        table.add_row(moment, str(count))
    table.add_section()
    for name in ("kills", "runs_finished", "compared_files_a_run", "differing_files", "faults"):
        value = found[name]
        table.add_row(name.replace("_", " "), str(len(value) if isinstance(value, list) else value))
    console = Console()
    console.print(table)
    for line in (*found["differing_files"], *found["faults"]):
        console.print(line, markup=False)


def main() -> None:
    """Measure, print and save; exit 1 where a run ended otherwise than the uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--inside-saves", type=float, default=0.5, help="the share aimed at saves")
    parser.add_argument("--kills-a-run", type=int, default=10, help="then a run is let go to its end")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no run after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    import_heavy()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        campaign = prepare(Path(directory), asked)
        while campaign.kills < asked.kills and time.monotonic() - began < asked.seconds:
            campaign.run_to_end(min(asked.kills_a_run, asked.kills - campaign.kills))
            print(f"{campaign.kills} kills, {len(campaign.kills_of_runs)} runs", flush=True)
        if campaign.differences:
            refuse_if_chance(campaign)
    found = summary(campaign, time.monotonic() - began)
    show(found)
    # imports torch and asks for its threads: only now
    from benchmarks.machine import machine

    asked.out.write_text(json.dumps({"machine": machine(), "seed": asked.seed, **found}, indent=1) + "\n")
    raise SystemExit(bool(campaign.differences or campaign.faults))


if __name__ == "__main__":
    main()
