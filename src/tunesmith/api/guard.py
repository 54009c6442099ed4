"""Who may call, by which name, and from which page."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from tunesmith.api.keyring import Keyring
from tunesmith.api.keys import ApiKey
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings

__all__ = ["admit", "is_loopback", "is_open"]

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES = frozenset({"/healthz", "/readyz"})
# these tell nothing about the model; whatever is not named here needs the key
_WITHOUT_KEY = _PROBES | {"/", "/docs", "/openapi.json"}
_STATIC = "/static/"


def admit(method: str, path: str, headers: Headers, settings: Settings, keyring: Keyring) -> ApiKey | None:
    """Whose key was sent; None where none is needed.

    Raises Refusal for a foreign name, a foreign page or a wrong key.
    """
    # a probe calls by address, and learns nothing
    if path not in _PROBES:
        _check_host(headers, settings)
    if method not in _SAFE_METHODS:
        _check_origin(headers)
    if not settings.needs_key or is_open(path):
        return None
    return _key_of(headers, keyring)


def is_open(path: str) -> bool:
    """Whether what is there is told without a key."""
    return path in _WITHOUT_KEY or path.startswith(_STATIC)


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine itself."""
    name = host.lower().strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _check_host(headers: Headers, settings: Settings) -> None:
    """Keep out web pages whose own name was made to point here (DNS rebinding)."""
    found = _HOST.fullmatch(headers.get("host", ""))
    if found is None or not _is_allowed(found["name"].lower(), settings):
        message = "the server is not called by this name; its operator can add it to TUNESMITH_ALLOWED_HOSTS"
        raise Refusal("unknown-host", message)


def _is_allowed(name: str, settings: Settings) -> bool:
    if settings.allowed_hosts:
        return name in (host.lower() for host in settings.allowed_hosts)
    # a page that was lured here does not know the key
    return settings.needs_key or is_loopback(name)


def _check_origin(headers: Headers) -> None:
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) != headers.get("host", "").lower():
        raise Refusal("foreign-origin", "pages of other sites may not send requests here")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as `http://[`
        return None


def _key_of(headers: Headers, keyring: Keyring) -> ApiKey:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    found = keyring.find(given.strip())
    if scheme.lower() != "bearer" or found is None:
        message = "the API key is missing or wrong; send it as `Authorization: Bearer …`"
        raise Refusal("wrong-key", message, headers={"WWW-Authenticate": "Bearer"})
    return found
