"""How much one caller may ask: by the minute, and at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tunesmith.api.keys import ApiKey
from tunesmith.api.rates import Kind, Rates
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings

__all__ = ["Caller", "Quotas"]


class Quotas:
    """The limits of `settings` for everyone who calls; a key's own limits go before them."""

    def __init__(self, settings: Settings, rates: Rates | None = None) -> None:
        self._settings = settings
        self.rates = rates or Rates()
        self.under_way: Counter[str] = Counter()
        """Requests that have begun and not ended, by caller."""

    def caller(self, key: ApiKey | None, address: str) -> Caller:
        """Who calls: whoever holds `key`, or where none is used an address."""
        settings = self._settings
        requests, texts = settings.requests_per_minute, settings.texts_per_minute
        if key is not None and key.requests_per_minute is not None:
            requests = key.requests_per_minute
        if key is not None and key.texts_per_minute is not None:
            texts = key.texts_per_minute
        name = f"address {address}" if key is None else f"key {key.name}"
        return Caller(name, requests, texts, settings.max_waiting_per_key, self)


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller and its limits, of which 0 and None are none."""

    name: str
    requests_per_minute: int
    texts_per_minute: int
    at_once: int | None
    quotas: Quotas

    def take_request(self) -> None:
        """Count a request; raise Refusal `rate-limited` where it is one too many."""
        self._take("requests", 1, self.requests_per_minute)

    def take_texts(self, count: int) -> None:
        """Count texts; raise Refusal `rate-limited` where they are too many for this minute.

        Where they are too many for any minute, the Refusal is `too-many-texts`.
        """
        if 0 < self.texts_per_minute < count:
            message = (
                f"one minute has room for {self.texts_per_minute:,} texts; send them in several requests"
            )
            raise Refusal("too-many-texts", message, param="input")
        self._take("texts", count, self.texts_per_minute)

    def take_work(self, texts: int) -> None:
        """Count work that is as much as so many texts, or as a whole minute where that has room for fewer."""
        self._take("texts", min(texts, self.texts_per_minute), self.texts_per_minute)

    def _take(self, kind: Kind, amount: int, limit: int) -> None:
        if not limit:
            return
        if seconds := self.quotas.rates.take(self.name, kind, amount, limit):
            message = f"more than {limit:,} {kind} a minute are not answered; go on in {seconds} s"
            raise Refusal("rate-limited", message, headers={"Retry-After": str(seconds)})

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the caller's places; raise Refusal `rate-limited` where it holds all it may have."""
        under_way = self.quotas.under_way
        if self.at_once is not None and under_way[self.name] >= self.at_once:
            message = f"{self.at_once:,} requests of yours are under way; wait until one is answered"
            raise Refusal("rate-limited", message, headers={"Retry-After": "1"})
        under_way[self.name] += 1
        try:
            yield
        finally:
            under_way[self.name] -= 1
            # who does not call any more is not remembered
            if not under_way[self.name]:
                del under_way[self.name]
