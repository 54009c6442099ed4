"""`tunesmith serve` under SIGTERM at random moments under load: no request is lost without an answer.

    python -m benchmarks.sigterm [--ends 50] [--clients 8] [--out FILE]

Clients that keep their connections, that open one for each request, and that stream lines ask until the port
is closed; then the next server begins, of one process and of two in turns. Writes
benchmarks/results/sigterm.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.ending import Ends, ask_until_gone
from tests.listening import free_port

from benchmarks.forked import ended, import_heavy, start

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "sigterm.json"
STARTS_WITHIN = 120
# after the first request
UNTIL_SIGNAL = (0.05, 1.0)
WORKERS = (1, 2)


def make_model(place: Path) -> Path:
    """A tiny model, made by a child, since that starts threads."""
    child = os.fork()
    if not child:
        from tests.models import save_tiny_base, save_tiny_bundle

        from tunesmith.model.load import load_classifier

        classifier = load_classifier(str(save_tiny_base(place / "base")), ("politics", "sports"))
        save_tiny_bundle(place / "model", classifier, 48)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the model could not be made")
    return place / "model"


def ended_once(model: Path, workers: int, clients: int, delay: float) -> dict[str, Any]:
    """One server, from its start to its end under load."""
    port = free_port()
    log = model.parent / "log"
    child = start(["serve", str(model), "--port", str(port), "--workers", str(workers)], log)
    ends = Ends()
    under_way, seconds = asyncio.run(_loaded(child, port, clients, delay, ends))
    found = {"workers": workers, "under_way_at_the_signal": under_way, **asdict(ends)}
    code = None
    while (code := ended(child)) is None:
        time.sleep(0.01)
    if code or "Traceback" in log.read_text():
        ends.lost.append(f"exit {code}: {log.read_text()[-2000:]}")
    return {**found, "lost": ends.lost, "seconds": round(seconds, 2)}


async def _loaded(child: int, port: int, clients: int, delay: float, ends: Ends) -> tuple[int, float]:
    """Requests that were under way at the signal, and the seconds from there to the last client's end."""
    await _ready(port)
    asking, began = asyncio.create_task(ask_until_gone(port, clients, ends)), time.monotonic()
    while not ends.answered or time.monotonic() - began < delay:
        await asyncio.sleep(0.005)
    under_way, began = ends.under_way, time.monotonic()
    os.kill(child, signal.SIGTERM)
    await asking
    return under_way, time.monotonic() - began


async def _ready(port: int) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if b" 200 " in await reader.readline():
                return
        except OSError:
            pass
        await asyncio.sleep(0.05)
    raise SystemExit("the server is not ready")


def summary(ends: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums over all servers of one kind."""
    counts = ("under_way_at_the_signal", "answered", "refused", "lines_answered", "streams_told", "not_taken")
    return {
        "ends": len(ends),
        **{name: sum(each[name] for each in ends) for name in counts},
        "longest_end_seconds": max(each["seconds"] for each in ends),
        "lost": [what for each in ends for what in each["lost"]],
    }


def main() -> None:
    """Measure, print and save; exit 1 where a request was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ends", type=int, default=50, help="of servers of one process, and of two")
    parser.add_argument("--clients", type=int, default=8, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    import_heavy()
    chance, began = random.Random(asked.seed), time.monotonic()
    found: dict[int, list[dict[str, Any]]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as directory:
        model = make_model(Path(directory))
        for number in range(asked.ends):
            for workers in WORKERS:
                each = ended_once(model, workers, asked.clients, chance.uniform(*UNTIL_SIGNAL))
                found[workers].append(each)
                print(number, each, flush=True)
    # imports torch and asks for its threads: only now
    from benchmarks.machine import machine

    saved = {
        "machine": machine(),
        "seed": asked.seed,
        "clients_of_each_kind": asked.clients,
        "processes": {str(workers): summary(ends) for workers, ends in found.items()},
        "seconds": round(time.monotonic() - began, 1),
    }
    asked.out.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(any(of["lost"] for of in saved["processes"].values()))


if __name__ == "__main__":
    main()
