"""The keys that a server knows, read again when their file changes."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tunesmith.api.exchange import log_event
from tunesmith.api.keys import ENVIRONMENT, ApiKey, key_hash, read_keys
from tunesmith.api.settings import Settings
from tunesmith.errors import UserError

__all__ = ["Keyring"]

_CHECK_SECONDS = 1.0

Signature = tuple[int, int, int]


class Keyring:
    """The key of the environment and those of the file that `settings` name.

    The file is looked at again at most once a second, so that a key can be taken away from a running server.
    Where it cannot be read any more, the keys known last go on, and the log says so once. Raises ConfigError
    or StorageError where it cannot be read at first.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        equal: Callable[[str, str], bool] = hmac.compare_digest,
    ) -> None:
        self._path = settings.keys_file
        self._own = _environment_key(settings)
        self._clock, self._equal = clock, equal
        self._checked = clock()
        # before it is read: what changes in between is seen at the next look
        self._signature = _signature(self._path)
        self._keys = self._own if self._path is None else (*self._own, *read_keys(self._path))

    @property
    def empty(self) -> bool:
        """Whether there is no key that anyone could send."""
        return not self._keys

    def find(self, given: str) -> ApiKey | None:
        """Whose key `given` is; it takes as long whichever it is, and whether or not it is one."""
        self._look_again()
        digest, found = key_hash(given), None
        for key in self._keys:
            if self._equal(digest, key.sha256):
                found = key
        return found

    def _look_again(self) -> None:
        if self._path is None or self._clock() - self._checked < _CHECK_SECONDS:
            return
        self._checked = self._clock()
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._keys = (*self._own, *read_keys(self._path))
            count = len(self._keys)
            log_event(f"keys={count} read again from their file", "keys-read", {"keys": count})
        except UserError as error:
            self._log_kept(sorted({problem.code for problem in error.problems}))

    def _log_kept(self, codes: Sequence[str]) -> None:
        count = len(self._keys)
        text = f"keys={count} kept: their file cannot be read, code={','.join(codes)}"
        log_event(text, "keys-unreadable", {"keys": count, "codes": list(codes)}, logging.ERROR)


def _environment_key(settings: Settings) -> tuple[ApiKey, ...]:
    if settings.api_key is None:
        return ()
    digest = key_hash(settings.api_key.get_secret_value())
    return (ApiKey(name=ENVIRONMENT, sha256=digest, made=datetime.now(UTC)),)


def _signature(path: Path | None) -> Signature | None:
    """What differs once the file was written or replaced; None where there is none."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
