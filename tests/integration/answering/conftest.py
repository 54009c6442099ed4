"""A studio that answers with tiny models, behind a real port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.listening import listening
from tests.models import save_tiny_base
from tunesmith.api.keys import add_key
from tunesmith.api.settings import Settings
from tunesmith.bundle import write_bundle
from tunesmith.model.generator import load_generator
from tunesmith.model.load import load_classifier
from tunesmith.predict import Predictor
from tunesmith.recipe import Recipe
from tunesmith.studio.app import create_studio
from tunesmith.studio.blobs import LocalBlobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.context import Studio
from tunesmith.studio.store import Store
from tunesmith.studio.store.rows import add
from tunesmith.studio.store.tables import models
from tunesmith.studio.types import Model, ModelForm
from tunesmith.task import Task
from tunesmith.writer import Writer

LABELS = ("politics", "sports", "weather")
WRITER, CHATTER, CLASSIFIER = "ft:tiny:default:pairs:1", "ft:tiny:default:chat:2", "ft:tiny:default:news:3"
MAX_TOKENS = 200


@dataclass(frozen=True)
class Live:
    """A studio that listens."""

    url: str
    studio: Studio
    keys: dict[str, str]

    def options(self, project: str = "default", **options: Any) -> dict[str, Any]:
        key = self.keys.get(project, "none")
        strict = {"_strict_response_validation": True, "max_retries": 0}
        return {"api_key": key, "base_url": f"{self.url}/v1", **strict, **options}

    def client(self, project: str = "default", **options: Any) -> OpenAI:
        """The official client, which refuses whatever is not as the contract says."""
        return OpenAI(**self.options(project, **options))

    def patient(self) -> AsyncOpenAI:
        """The same for coroutines."""
        return AsyncOpenAI(**self.options())

    def http(self) -> httpx.Client:
        """A client without any manners of its own."""
        return httpx.Client(base_url=self.url, timeout=60)

    def keep(self, name: str, bundle: Path, form: ModelForm, project: str = "default") -> None:
        """Let a job of the project have made this model."""
        blob = f"models/{name.replace(':', '-')}"
        self.studio.blobs.put_directory(blob, bundle)
        model = Model(name, project, 1, "ftjob-1", "tiny", form, blob)
        with self.studio.store._database.writing() as connection:
            add(connection, models, model)

    def drain(self) -> None:
        """What SIGTERM does first; an answer must be under way."""
        loop = self.studio.ends._loop  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(self.studio.drain)

    def held(self, key: str) -> Any:
        """What answers for a model that is in memory."""
        return self.studio.answering.memory._places[key].answers

    @contextmanager
    def watched(self, look: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `look` is called before every pass of the base."""
        writer = self.held("base tiny")._scribe._writer
        hook = writer.generator.model.register_forward_pre_hook(lambda *_: look())
        try:
            yield
        finally:
            hook.remove()

    @contextmanager
    def halted(self) -> Iterator[Event]:
        """While the block runs, the base waits before every pass, until the event is set."""
        go_on = Event()
        with self.watched(lambda: _wait(go_on)):
            try:
                yield go_on
            finally:
                go_on.set()


def _wait(event: Event) -> None:
    assert event.wait(60)


@dataclass(frozen=True)
class Bundles:
    """Models on disk, and what answers with them."""

    base: Path
    chat: Path
    pairs: Path
    labels: Path
    writer: Writer
    predictor: Predictor


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    place = tmp_path_factory.mktemp("models")
    # sharper than weights as they are drawn: answers differ
    base = save_tiny_base(place / "base", initializer_range=0.4, n_positions=256)
    generator = load_generator(str(base))
    classifier = load_classifier(str(base), LABELS)
    classifier.model.score.weight.data *= 3
    recipe = Recipe(max_tokens=MAX_TOKENS, max_new_tokens=32)
    for name, learner, task in (
        ("chat", generator, Task(kind="chat", text_column="messages")),
        ("pairs", generator, Task(kind="completion", text_column="prompt", target_column="completion")),
        ("labels", classifier, Task(labels=LABELS)),
    ):
        write_bundle(
            place / name,
            learner,
            task=task,
            recipe=recipe,
            report={},
            data_report={},
            card="",
            overwrite=False,
        )
    return Bundles(
        base,
        place / "chat",
        place / "pairs",
        place / "labels",
        Writer(generator, 256),
        Predictor(classifier, MAX_TOKENS),
    )


MakeStudio = Callable[..., Live]


@pytest.fixture(scope="module")
def make_studio(tmp_path_factory: pytest.TempPathFactory, bundles: Bundles) -> Iterator[MakeStudio]:
    """Config and settings -> a studio that listens; with `projects`, each has a key."""
    with ExitStack() as stack:

        def make(
            config: dict[str, Any] | None = None, projects: tuple[str, ...] = (), **settings: Any
        ) -> Live:
            directory = tmp_path_factory.mktemp("studio")
            file = directory / "keys.json"
            keys = {name: add_key(file, name, now=datetime.now(UTC), project=name) for name in projects}
            settings |= {"keys_file": file} if projects else {}
            store = Store(f"sqlite:///{directory}/studio.db")
            stack.callback(store.close)
            given = {"bases": {"tiny": str(bundles.base)}, "models_in_memory": 4, **(config or {})}
            blobs = LocalBlobs(directory / "blobs")
            app = create_studio(store, blobs, StudioConfig.model_validate(given), Settings(**settings))
            return Live(stack.enter_context(listening(app)), app.state.context, keys)

        yield make


@pytest.fixture(scope="module")
def live(make_studio: MakeStudio, bundles: Bundles) -> Live:
    """One studio for all tests of a module, without keys, with a base and three models."""
    live = make_studio()
    live.keep(WRITER, bundles.pairs, "writer")
    live.keep(CHATTER, bundles.chat, "writer")
    live.keep(CLASSIFIER, bundles.labels, "classifier")
    return live


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[OpenAI]:
    with live.client() as client:
        yield client
