"""A studio over HTTP, through OpenAI's own requests: files and jobs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tunesmith.errors import Problem, ServiceError
from tunesmith.files import storage_errors

__all__ = ["RemoteStudio"]

_SECONDS = 600.0
_CHUNK_BYTES = 1 << 20
_MOST_ANSWER_BYTES = 16 << 20


class _NoRedirects(HTTPRedirectHandler):
    """A key must not be carried to another address."""

    def redirect_request(self, *_: Any, **_named: Any) -> None:
        """Follow none."""


class RemoteStudio:
    """What is asked of a studio; every method raises ServiceError where it is refused or nobody answers."""

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            fix = "write it as http://127.0.0.1:8000/v1"
            raise ServiceError(Problem("studio-away", "this is no address of a studio", "--studio", fix))
        self.url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._opener = build_opener(_NoRedirects)

    def bases(self) -> list[str]:
        """The names of the bases that may be fine-tuned."""
        models = self._asked("GET", "/models", "data")
        return [str(model["id"]) for model in models if not str(model["id"]).startswith("ft:")]

    def upload(self, path: Path) -> str:
        """Send a file for training, a piece at a time; its id."""
        boundary = secrets.token_hex(16)
        head, tail = _form_around(boundary)
        with storage_errors(path):
            length = len(head) + path.stat().st_size + len(tail)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }
        return str(self._asked("POST", "/files", "id", _pieces(head, path, tail), headers))

    def start(self, job: Mapping[str, Any]) -> str:
        """Make a job; its id."""
        headers = {"Content-Type": "application/json"}
        return str(self._asked("POST", "/fine_tuning/jobs", "id", json.dumps(job).encode(), headers))

    def _asked(
        self, method: str, path: str, wanted: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """What the answer has under `wanted`."""
        sent = {**self._headers, **(headers or {})}
        request = Request(self.url + path, body, sent, method=method)  # noqa: S310 (checked)
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read(_MOST_ANSWER_BYTES))[wanted]
        except HTTPError as error:
            raise self._refusal_of(error) from error
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            fix = "see that `tunesmith studio` runs there, and that the address is right"
            raise ServiceError(
                Problem("studio-away", f"no studio answers: {reason}", self.url, fix)
            ) from error

    def _refusal_of(self, error: HTTPError) -> ServiceError:
        with error:
            said = _message_in(error.read(_CHUNK_BYTES)) or error.reason
        fix = "put right what it says; a key is given in TUNESMITH_STUDIO_KEY"
        what = f"the studio refuses (HTTP {error.code}): {said}"
        return ServiceError(Problem("studio-refused", what, self.url, fix))


def _form_around(boundary: str) -> tuple[bytes, bytes]:
    """What stands in a form before a file, and after it; the name of the file stays here."""
    purpose = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="export.jsonl"\r\n'
    kind = "Content-Type: application/jsonl\r\n\r\n"
    return (purpose + file + kind).encode(), f"\r\n--{boundary}--\r\n".encode()


def _pieces(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK_BYTES):
            yield piece
    yield tail


def _message_in(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return None
