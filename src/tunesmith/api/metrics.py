"""Metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tunesmith.api.exchange import Exchange

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests by route and status, how long they took, and what the model read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tunesmith_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "tunesmith_request_seconds",
            "From a request's headers to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._texts = Counter("tunesmith_texts", "Texts classified.", registry=self.registry)
        self._tokens = Counter("tunesmith_tokens", "Tokens read by the model.", registry=self.registry)
        self._rejected = Counter(
            "tunesmith_rejected", "Requests refused, by error code.", ["code"], registry=self.registry
        )
        self._by_key = Counter(
            "tunesmith_key_requests",
            "Requests answered, by the name of the key.",
            ["key"],
            registry=self.registry,
        )
        self._texts_by_key = Counter(
            "tunesmith_key_texts",
            "Texts classified, by the name of the key.",
            ["key"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "tunesmith_requests_in_flight", "Requests that have begun and not ended.", registry=self.registry
        )
        self.ready = Gauge("tunesmith_ready", "1 while the server takes requests.", registry=self.registry)

    def note(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        self._requests.labels(exchange.route, str(exchange.status)).inc()
        self._seconds.labels(exchange.route).observe(exchange.seconds)
        if exchange.code != "-":
            self._rejected.labels(exchange.code).inc()
        if exchange.key != "-":
            self._by_key.labels(exchange.key).inc()
        if exchange.status == 200:
            self._note_read(exchange)

    def _note_read(self, exchange: Exchange) -> None:
        self._texts.inc(exchange.texts)
        self._tokens.inc(exchange.tokens)
        if exchange.key != "-":
            self._texts_by_key.labels(exchange.key).inc(exchange.texts)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
