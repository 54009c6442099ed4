"""Requests that came twice because a reply was lost: what the first one made answers the second.

The official client sends every POST up to three times, and says in a header which time it is. A request that
says that it is the first always makes something, and is remembered; one that says that it comes again makes
something only where nothing like it came before.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from tunesmith.studio.store.tables import requests

__all__ = ["REMEMBERED_SECONDS", "Fingerprint", "KeyReused", "known", "note"]

REMEMBERED_SECONDS = 15 * 60
"""How long after a request the same one may come again; with a key of the caller's own, a day"""
_REMEMBERED_BY_KEY_SECONDS = 24 * 3600


class KeyReused(Exception):  # noqa: N818 (it is told as a Refusal)
    """A caller's idempotency key came before, with another request."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a request from others."""

    sha256: str
    """Of all that makes it what it is: path, and body or idempotency key"""
    again: bool
    """Whether it says that it was sent before, or names a key that it shares with others"""
    body: str = ""
    """The SHA-256 of what is asked, where `sha256` is of a key"""
    by_key: bool = False
    """Whether the caller named a key"""


def known(
    connection: Connection, project: str, kind: str, fingerprint: Fingerprint | None, now: float
) -> str | None:
    """The id of what the same request has made already, None where it is new; raises KeyReused."""
    if fingerprint is None or not fingerprint.again:
        return None
    oldest = now - (_REMEMBERED_BY_KEY_SECONDS if fingerprint.by_key else REMEMBERED_SECONDS)
    query = select(requests.c.made, requests.c.body).where(
        requests.c.project == project,
        requests.c.kind == kind,
        requests.c.fingerprint == fingerprint.sha256,
        requests.c.created_at >= oldest,
    )
    found = connection.execute(query).one_or_none()
    if found is not None and found.body != fingerprint.body:
        raise KeyReused
    return None if found is None else str(found.made)


def note(
    connection: Connection, project: str, kind: str, fingerprint: Fingerprint | None, made: str, now: float
) -> None:
    """Remember what a request has made, in the transaction that made it; forget those of long ago."""
    if fingerprint is None:
        return
    old = requests.c.created_at < now - _REMEMBERED_BY_KEY_SECONDS
    same = (requests.c.project == project) & (requests.c.fingerprint == fingerprint.sha256)
    connection.execute(delete(requests).where(old | same))
    values = {"project": project, "fingerprint": fingerprint.sha256, "body": fingerprint.body}
    connection.execute(insert(requests).values(created_at=int(now), kind=kind, made=made, **values))
