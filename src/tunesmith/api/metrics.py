"""Metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from tunesmith.api.exchange import Exchange

__all__ = ["Declared", "Metrics", "share_metrics"]

# answers of a small model take a millisecond, the parts of one less
_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536, 262144)

Together = Literal["livesum", "livemin"]


_shared: Path | None = None


def share_metrics(directory: Path, place: int) -> None:
    """Count from now on in files of `directory`, together with all processes that do; `place` is this one's.

    A process that takes the place of one that ended counts on from where that was.
    """
    global _shared
    _shared = directory
    # where the library looks for it
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    # chosen by the library when it is imported, which was before there were several processes
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as an operator meets it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """Counts requests by route, status, code and key, where their time went, and what the model read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.declared: list[Declared] = []
        self._requests = self._counter("requests", "Requests answered.", "route", "status")
        self._seconds = self._histogram(
            "request_seconds", "From a request's headers to the end of its answer.", _SECONDS, "route"
        )
        self._stages = self._histogram(
            "stage_seconds", "Where the time of a request with texts went.", _SECONDS, "stage"
        )
        self._rejected = self._counter("rejected", "Requests refused, by error code.", "code")
        self._texts = self._counter("texts", "Texts classified.")
        self._tokens = self._counter("tokens", "Tokens read by the model.")
        self._by_key = self._counter("key_requests", "Requests answered, by the name of the key.", "key")
        self._texts_by_key = self._counter("key_texts", "Texts classified, by the name of the key.", "key")
        self._batch_texts = self._histogram("batch_texts", "Texts that the model read together.", _TEXTS)
        self._batch_tokens = self._histogram("batch_tokens", "Tokens that the model read together.", _TOKENS)
        self._batch_seconds = self._histogram("batch_seconds", "From texts to answers, a batch.", _SECONDS)
        self.in_flight = self.gauge("requests_in_flight", "Requests that have begun and not ended.")
        self.waiting = self.gauge("requests_waiting", "Requests at the model or waiting for it.")
        self.uploads = self.gauge("uploads", "Request bodies that are being read.")
        self.explained = self._counter("explained", "Texts explained.")
        self.explaining = self.gauge("explaining", "Explanations at work or waiting.")
        self.ready = self.gauge("ready", "1 while the server takes requests.", together="livemin")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        made = Counter(f"tunesmith_{name}", meaning, labels, registry=self.registry)
        self.declared.append(Declared(f"tunesmith_{name}_total", "counter", labels, meaning))
        return made

    def gauge(self, name: str, meaning: str, *labels: str, together: Together = "livesum") -> Gauge:
        """Declare a gauge; `together` says what it is of several processes."""
        full = f"tunesmith_{name}"
        made = Gauge(full, meaning, labels, registry=self.registry, multiprocess_mode=together)
        self.declared.append(Declared(full, "gauge", labels, meaning))
        return made

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
        made = Histogram(f"tunesmith_{name}", meaning, labels, buckets=buckets, registry=self.registry)
        self.declared.append(Declared(f"tunesmith_{name}", "histogram", labels, meaning))
        return made

    def note(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        self._requests.labels(exchange.route, str(exchange.status)).inc()
        self._seconds.labels(exchange.route).observe(exchange.seconds)
        if exchange.code != "-":
            self._rejected.labels(exchange.code).inc()
        if exchange.key != "-":
            self._by_key.labels(exchange.key).inc()
        # what comes without texts is quick, and would hide how long the others took
        if exchange.texts:
            self._note_stages(exchange)
        if exchange.status == 200:
            self._note_read(exchange)

    def _note_stages(self, exchange: Exchange) -> None:
        for stage, seconds in exchange.stages.items():
            self._stages.labels(stage).observe(seconds)

    def _note_read(self, exchange: Exchange) -> None:
        self._texts.inc(exchange.texts)
        self._tokens.inc(exchange.tokens)
        if exchange.key != "-":
            self._texts_by_key.labels(exchange.key).inc(exchange.texts)

    def note_batch(self, texts: int, tokens: int, seconds: float) -> None:
        """Count what the model read together, and how long it took."""
        self._batch_texts.observe(texts)
        self._batch_tokens.observe(tokens)
        self._batch_seconds.observe(seconds)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format, of all processes that share them."""
        if _shared is None:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, str(_shared))  # type: ignore[no-untyped-call]
        return generate_latest(together)
