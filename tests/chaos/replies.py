"""Replies that are lost, and uploads that are cut off."""

from __future__ import annotations

import random
import socket
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from openai import OpenAI

from tests.chaos.served import Persistent, new_small_studio, served
from tests.studio import Studio, talks

__all__ = ["Cuts", "Losing", "Replies", "cut_uploads", "lose_replies"]

_BODY_BYTES = 200_000
_LOOKS = 2000


class Losing(httpx.BaseTransport):
    """Carries a request to the server, and loses the answer to the first try of each."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.tries = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; raises ReadError where its answer is lost."""
        self.tries += 1
        response = self._inner.handle_request(request)
        if request.headers["x-stainless-retry-count"] == "0":
            response.read()
            response.close()
            raise httpx.ReadError("the connection was reset", request=request)
        return response

    def close(self) -> None:
        """Let go of the connections."""
        self._inner.close()


@dataclass(slots=True)
class Replies:
    """Jobs that were asked for, and jobs that were made."""

    asked: int
    sent: int = 0
    """Requests, of which every second one was not heard of again"""
    made: int = 0
    told: int = 0
    """Different ids that callers were given"""

    @property
    def faults(self) -> list[str]:
        """All that should not be."""
        as_asked = self.made == self.told == self.asked and self.sent == 2 * self.asked
        return [] if as_asked else [f"{self.made} jobs and {self.told} ids of {self.asked} requests"]


def lose_replies(directory: Path, base: Path, *, replies: int) -> Replies:
    """Make so many jobs, of which each first reply is lost."""
    studio, found, transport = new_small_studio(directory, base), Replies(replies), Losing()
    training_file = studio.file(talks(10))
    with served(studio) as url, Persistent(url, http_client=httpx.Client(transport=transport)) as client:
        create = client.fine_tuning.jobs.create
        ids = [create(model="tiny", training_file=training_file).id for _ in range(replies)]
    found.sent, found.told = transport.tries, len(set(ids))
    found.made = len(studio.store.jobs.page("default", metadata={}, after=None, limit=100_000).data)
    studio.close()
    return found


@dataclass(slots=True)
class Cuts:
    """Uploads that broke off."""

    cut: Counter[str] = field(default_factory=Counter)
    """`file` or `part` -> how many"""
    faults: list[str] = field(default_factory=list)
    """What is left of them"""


def cut_uploads(directory: Path, base: Path, *, cuts: int, seed: int) -> Cuts:
    """Cut so many uploads at random bytes, half of them files and half of them parts."""
    studio, found, chance = new_small_studio(directory, base), Cuts(), random.Random(seed)
    whole = studio.file(talks(10))
    with served(studio) as url, Persistent(url) as client:
        upload = client.uploads.create(
            bytes=_BODY_BYTES, filename="a", mime_type="text/plain", purpose="user_data"
        )
        paths = {"file": "/v1/files", "part": f"/v1/uploads/{upload.id}/parts"}
        for number in range(cuts):
            kind = ("file", "part")[number % 2]
            _send_cut(url, paths[kind], kind, chance.random())
            found.cut[kind] += 1
        _judge(studio, url, client, found, whole)
    studio.close()
    return found


def _send_cut(url: str, path: str, kind: str, share: float) -> None:
    """Send a part of a request and hang up; the header goes with it, whole."""
    host, port = url.removeprefix("http://").split(":")
    body = _form(kind)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[: int(share * len(body))])


def _form(kind: str) -> bytes:
    purpose = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    name = b"file" if kind == "file" else b"data"
    head = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n' % name
    return (purpose if kind == "file" else b"") + head + b"x" * _BODY_BYTES + b"\r\n--b--\r\n"


def _judge(studio: Studio, url: str, client: OpenAI, found: Cuts, whole: str) -> None:
    with httpx.Client(base_url=url) as http:
        for _ in range(_LOOKS):
            if "tunesmith_uploads 0.0" in http.get("/metrics").text and not _left(studio, whole):
                break
    found.faults += [f"blobs/{name}" for name in _left(studio, whole)]
    found.faults += [f"{file.id} is listed" for file in client.files.list().data if file.id != whole]
    # and what is whole still comes in
    assert client.files.create(file=("a", b"x"), purpose="user_data").bytes == 1


def _left(studio: Studio, whole: str) -> list[str]:
    blobs = studio.directory / "blobs"
    paths = (path.relative_to(blobs) for path in blobs.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.name != whole)
