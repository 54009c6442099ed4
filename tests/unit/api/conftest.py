"""What the tests of the HTTP room share: a model that needs no weights, and a client without a network."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from tests.served import Served
from tests.waiting import until
from tunesmith.api.app import create_app
from tunesmith.api.explaining import Explain
from tunesmith.api.quotas import Quotas
from tunesmith.api.served import Loaded
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Load
from tunesmith.predict import Prediction

KEY = "a-key-that-nobody-can-guess"
LABELS = ("sports", "politics", "weather", "science", "music", "travel")
CLASSIFY = "/v1/classify"


class FakePredictor(Served):
    """Answers with the label of which the text has most, and can be made to wait or to fail."""

    def __init__(self, labels: Sequence[str] = LABELS, max_tokens: int = 8) -> None:
        self.labels = tuple(labels)
        self.max_tokens = max_tokens
        self.go_on = threading.Event()
        self.go_on.set()
        self.batches: list[list[str]] = []
        self.at_work: list[str] = []

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.at_work = list(texts)
        assert self.go_on.wait(20)
        self.batches.append(list(texts))
        if any("explode" in text for text in texts):
            raise ValueError(f"cannot read {texts}")
        return [self._answer(text) for text in texts]

    def _answer(self, text: str) -> Prediction:
        words = text.split()
        counts = [1.0 + 9 * words.count(label) for label in self.labels]
        scores = {label: count / sum(counts) for label, count in zip(self.labels, counts, strict=True)}
        if "nan" in words:
            scores[self.labels[0]] = float("nan")
        target = max(scores, key=lambda label: scores[label])
        return Prediction(target, scores, len(words) > self.max_tokens, min(len(words), self.max_tokens))


class Clock:
    """Goes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Calls an application from a test that is not asynchronous."""

    def __init__(self, app: FastAPI, stack: ExitStack) -> None:
        self.app = app
        self._portal = stack.enter_context(start_blocking_portal())
        self._http = stack.enter_context(self._portal.wrap_async_context_manager(_opened(app)))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._http.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def classify(self, texts: object, **fields: object) -> httpx.Response:
        return self.post(CLASSIFY, json={"input": texts, **fields})

    def begin(self, texts: object, **options: Any) -> Any:
        """A request to classify in the background; `.result()` is its response."""
        return self.start("POST", CLASSIFY, json={"input": texts}, **options)

    def start(self, method: str, path: str, **options: Any) -> Any:
        """Any request in the background."""
        return self._portal.start_task_soon(partial(self._http.request, method, path, **options))

    def until_waiting(self, count: int) -> None:
        """Wait until so many requests wait for the model or are at it."""
        until(lambda: self.app.state.context.waiting.taken == count)


@asynccontextmanager
async def _opened(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", timeout=20)
        )


MakeClient = Callable[..., Client]


@pytest.fixture
def predictor() -> Iterator[FakePredictor]:
    made = FakePredictor()
    yield made
    made.go_on.set()


@pytest.fixture
def make_client(predictor: FakePredictor) -> Iterator[MakeClient]:
    """Settings -> a client of an application that serves `predictor`."""
    with ExitStack() as stack:

        def make(
            model: FakePredictor = predictor,
            others: Sequence[Loaded] = (),
            load: Load | None = None,
            about_kind: str = "single_label",
            explain: Explain | None = None,
            report: Callable[[], object] | None = None,
            quotas: Quotas | None = None,
            **settings: Any,
        ) -> Client:
            about = {"model": "news", "base": "embedded", "test_rows": 50, "kind": about_kind}
            app = create_app(
                model,
                Settings(**settings),
                about=about,
                others=others,
                load=load,
                explain=explain,
                report=report,
                quotas=quotas,
            )
            return Client(app, stack)

        yield make
        predictor.go_on.set()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def refusal(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param of an error, whose shape is checked."""
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.headers["x-request-id"].startswith("req_")
    return response.status_code, error["code"], error["param"]
