"""Several processes on one port: they share the model, the limits and the metrics, and end together."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.ending import Ends, ask_while
from tests.integration.api.test_process import Running, ended, running_process
from tests.models import save_tiny_base, save_tiny_bundle
from tests.waiting import until
from tunesmith.model.load import load_classifier

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and /proc")

# answers with the number of its process as the name of the model
SLEEPY = """
import os, socket, sys, time
from pathlib import Path
from tunesmith.api.app import create_app
from tunesmith.api.logs import start_log
from tunesmith.api.settings import read_settings
from tunesmith.api.workers import serve_workers
from tunesmith.predict import Prediction
from tests.served import Served

place = Path(sys.argv[1])

class Sleepy(Served):
    labels, max_tokens = ("yes", "no"), 9
    def predict(self, texts):
        if texts[0] == "warm up" and (place / "one-by-one").exists():
            try:
                (place / "first").touch(exist_ok=False)
            except FileExistsError:
                while not (place / "second").exists():
                    time.sleep(0.05)
        time.sleep(2 if texts[0] == "sleep" else 0)
        return [Prediction("yes", {"yes": 0.8, "no": 0.2}, False, 1) for _ in texts]

def make_app(*, quotas):
    return create_app(Sleepy(), settings, about={"model": str(os.getpid())}, quotas=quotas)

settings = read_settings(os.environ)
start_log(settings.log_format)
listener = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
serve_workers(make_app, 2, threads=1, listener=listener, tls=None, settings=settings,
              on_started=lambda: print(url, flush=True))
"""

MODEL = """
import sys
from tunesmith.api.server import serve_model
serve_model(sys.argv[1], port=0, workers=2, on_listening=lambda url: print(url, flush=True))
"""

# as `serve_model` does it, but with two threads for each worker, however many cores there are
PARALLEL = """
import socket, sys
from functools import partial
from tunesmith.api.app import create_app
from tunesmith.api.settings import Settings
from tunesmith.api.workers import serve_workers, threads_for
from tunesmith.pipeline import find_bundle

settings = Settings()
listener = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
with threads_for(2):
    predictor = find_bundle(sys.argv[1]).predictor()
    predictor.predict(["a text that is read before the fork"] * 16)
    make_app = partial(create_app, predictor, settings, about={"model": "large"})
    serve_workers(make_app, 2, threads=2, listener=listener, tls=None, settings=settings,
                  on_started=lambda: print(url, flush=True))
"""

# a busy machine must not decide a test
_PATIENCE = 60

Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A script, its argument and TUNESMITH_ variables -> a running server that is ready."""
    with ExitStack() as stack:

        def begin(script: str, argument: object, *, ready: bool = True, **variables: str) -> Running:
            # threads that wait must not hold a core that others need
            environ = {**os.environ, "TMPDIR": str(tmp_path), "OMP_WAIT_POLICY": "passive"}
            environ |= {f"TUNESMITH_{name.upper()}": value for name, value in variables.items()}
            running = stack.enter_context(running_process(["-c", script, str(argument)], environ))
            if ready:
                until(lambda: running.client.get("/readyz").status_code == 200)
            return running

        yield begin


def get(running: Running, path: str) -> httpx.Response:
    """The answer to a connection of its own."""
    return httpx.get(running.client.base_url.join(path), timeout=_PATIENCE)


def ask(running: Running, texts: str | list[str]) -> httpx.Response:
    """As `get`."""
    url = running.client.base_url.join("/v1/classify")
    return httpx.post(url, json={"input": texts}, timeout=_PATIENCE)


def worker_of(running: Running, text: str = "a text") -> int:
    """Which process answers a connection of its own."""
    response = ask(running, text)
    assert response.status_code == 200
    return int(response.json()["model"])


def workers_of(running: Running) -> set[int]:
    """The numbers of the processes that the server has forked off."""
    pid = running.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def until_all_have_answered(running: Running) -> int:
    """How many requests that took."""
    workers, seen = workers_of(running), Counter[int]()

    def ask_again() -> bool:
        seen[worker_of(running)] += 1
        return set(seen) == workers

    assert len(workers) == 2
    until(ask_again)
    return seen.total()


def until_counted(running: Running, answers: int) -> None:
    """A request is counted behind its answer; a process that is killed in between has not counted it."""
    line = f'tunesmith_requests_total{{route="/v1/classify",status="200"}} {answers}.0'
    until(lambda: line in get(running, "/metrics").text)


def test_two_processes_answer_on_one_port(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path)
    until_all_have_answered(running)
    running.stop()
    assert ended(running)[0] == 0


def test_metrics_and_limits_are_those_of_all(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path, texts_per_minute="60")
    before = until_all_have_answered(running)
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: ask(running, "a text").status_code, range(70)))
    assert statuses == {200: 60 - before, 429: 10 + before}
    until_counted(running, 60)
    metrics = get(running, "/metrics").text
    assert f'tunesmith_rejected_total{{code="rate-limited"}} {10 + before}.0' in metrics
    assert "tunesmith_ready 1.0" in metrics
    assert "tunesmith_requests_waiting 0.0" in metrics
    assert list(tmp_path.glob("tunesmith-metrics-*"))
    running.stop()
    assert ended(running)[0] == 0
    assert not list(tmp_path.glob("tunesmith-metrics-*"))


def test_a_worker_that_dies_is_replaced(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path)
    for _ in range(5):
        worker_of(running)
    until_counted(running, 5)
    dead, other = sorted(workers_of(running))
    os.kill(dead, signal.SIGKILL)
    until(lambda: dead not in workers_of(running))
    # the others answer meanwhile, and nobody is told that all is well
    assert worker_of(running) == other
    assert get(running, "/readyz").status_code == 503
    until(lambda: get(running, "/readyz").status_code == 200)
    assert len(workers_of(running)) == 2
    # what the dead one had counted is not lost
    until_counted(running, 6)
    running.stop()
    status, errors = ended(running)
    assert status == 0
    assert re.search(r"ERROR worker \d was ended by SIGKILL; another starts in [\d.]+ s", errors)


def test_it_is_ready_only_when_all_are(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one-by-one").touch()
    running = start(SLEEPY, tmp_path, ready=False)
    until(lambda: (tmp_path / "first").exists())
    # whoever cannot answer yet leaves all to the other
    assert len({worker_of(running) for _ in range(10)}) == 1
    for _ in range(10):
        response = get(running, "/readyz")
        assert (response.status_code, response.json()) == (503, {"status": "loading"})
    (tmp_path / "second").touch()
    until(lambda: get(running, "/readyz").status_code == 200)


def test_what_has_begun_is_answered_by_all_before_the_end(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path)
    workers = workers_of(running)
    with ThreadPoolExecutor(6) as pool:
        begun = [pool.submit(worker_of, running, "sleep") for _ in range(6)]
        until(lambda: "tunesmith_requests_waiting 6.0" in running.client.get("/metrics").text)
        running.stop()
        answered = {future.result() for future in begun}
    assert answered <= workers
    status, errors = ended(running)
    assert status == 0
    assert "Traceback" not in errors
    assert "another starts" not in errors


def test_no_request_is_lost_when_all_end(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path)
    ends = Ends()
    asyncio.run(ask_while(running.client.base_url.port or 0, 4, ends, running.stop))
    assert ended(running)[0] == 0
    assert not ends.lost
    assert min(ends.answered, ends.lines_answered, ends.streams_told) > 0


def test_a_second_signal_does_not_wait(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path, drain_seconds="200")
    running.stop()
    until(lambda: get(running, "/readyz").json() == {"status": "draining"})
    time.sleep(0.3)
    running.stop()
    assert ended(running)[0] == 0


def test_workers_do_not_outlive_their_parent(start: Start, tmp_path: Path) -> None:
    running = start(SLEEPY, tmp_path)
    workers = workers_of(running)
    running.process.kill()
    until(lambda: not any(alive(pid) for pid in workers))


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of some 200 MB, most of it embeddings."""
    place = tmp_path_factory.mktemp("large")
    base = save_tiny_base(place / "base", vocab_size=100_000, n_embd=512, n_head=8)
    classifier = load_classifier(str(base), ("politics", "sports"))
    return save_tiny_bundle(place / "model", classifier, classifier.window)


def memory(pid: int, *names: str) -> int:
    """Bytes of a process by the names that the kernel has for them."""
    found = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(
        1024 * int(kilobytes)
        for name in names
        for kilobytes in re.findall(rf"^{name}: +(\d+) kB$", found, re.MULTILINE)
    )


def test_workers_compute_in_parallel_and_share_the_weights(start: Start, large: Path) -> None:
    running = start(PARALLEL, large)
    texts = ["the senate heard the bill, and the striker scored twice"] * 16
    before = memory(running.process.pid, "Rss")
    with ThreadPoolExecutor(8) as pool:
        # a worker that waits for threads of its parent would never answer
        answers = list(pool.map(lambda _: ask(running, texts), range(8)))
    assert {response.status_code for response in answers} == {200}
    weights = (large / "model.safetensors").stat().st_size
    workers = workers_of(running)
    assert len(workers) == 2
    assert all(memory(pid, "Private_Dirty", "Private_Clean") < weights / 2 for pid in workers)
    together = sum(memory(pid, "Pss") for pid in (running.process.pid, *workers))
    assert together < before + len(workers) * weights / 2
    # the thread that reads requests, that of the model, and one that OpenMP has started
    assert all(len(list(Path(f"/proc/{pid}/task").iterdir())) >= 3 for pid in workers)


def test_a_bundle_is_served_by_several(start: Start, large: Path) -> None:
    running = start(MODEL, large)
    assert len(workers_of(running)) == 2
    assert ask(running, "a text").json()["results"][0]["label"] in ("politics", "sports")
    running.stop()
    status, errors = ended(running)
    assert status == 0
    assert "listening on http://127.0.0.1" in errors
