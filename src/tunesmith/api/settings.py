"""What an operator may set; every field may stand in the environment as TUNESMITH_ and its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from tunesmith.config import Config
from tunesmith.errors import Problem, ServiceError

__all__ = ["Settings", "read_settings"]

_PREFIX = "TUNESMITH_"
# 128 bits take 22 characters of base64 and 32 of hexadecimal
_KEY = re.compile(r"[!-~]{22,}")


class Settings(Config):
    """How the server guards itself and what it takes."""

    api_key: SecretStr | None = None
    """What callers must send as `Authorization: Bearer …`; needed beyond loopback."""

    keys_file: Path | None = None
    """A file of keys, as `tunesmith keys` writes it; what is changed there counts within a second."""

    allowed_hosts: tuple[str, ...] = ()
    """Names by which the server may be called. Empty: loopback names, or with a key any name."""

    tls_cert: Path | None = None
    """The certificate, with those that sign it, as PEM: with it the server answers HTTPS only."""

    tls_key: Path | None = None
    """The private key of the certificate, as PEM."""

    tls_key_password: SecretStr | None = None
    """The password of the private key, where it is encrypted."""

    max_body_bytes: int = Field(default=2 << 20, ge=1)
    """The largest request body."""

    max_texts: int = Field(default=256, ge=1)
    """The most texts in one request."""

    max_characters: int = Field(default=1 << 20, ge=1)
    """The longest text."""

    max_top_k: int = Field(default=100, ge=1)
    """The most labels a text may be answered with."""

    max_waiting: int = Field(default=32, ge=1)
    """Requests that may be at the model or wait for it; those beyond are refused at once."""

    batch_tokens: int = Field(default=2048, ge=1)
    """Tokens that the model reads at once, where so many wait; of more it is not quicker."""

    max_wait_ms: float = Field(default=2.0, ge=0)
    """Milliseconds that a request may wait for others to share a batch, where several came at once lately."""
    max_waiting_per_key: int | None = Field(default=None, ge=1)
    """Requests of one key that may be under way at the same time; without keys, of one address."""

    requests_per_minute: int = Field(default=0, ge=0)
    """Requests that one key may send in a minute; without keys, one address. 0: any number."""

    texts_per_minute: int = Field(default=0, ge=0)
    """Texts that one key may send in a minute; without keys, one address. 0: any number."""

    max_explaining: int = Field(default=4, ge=1)
    """Explanations that may be at work or wait; those beyond are refused at once."""

    max_streams: int = Field(default=16, ge=1)
    """Requests whose lines are answered as they come, at the same time."""

    max_batch_bytes: int = Field(default=100 << 20, ge=1)
    """The largest file that is answered as a batch."""

    max_batches: int = Field(default=16, ge=1)
    """Batches that are kept at the same time, done or not; those beyond are refused."""

    batch_keep_seconds: float = Field(default=86_400.0, gt=0)
    """How long a batch is kept once it has ended."""

    spool: Path | None = None
    """This server's own directory, in which batches outlive it. Not set: they are gone with it."""

    models_at_once: int = Field(default=1, ge=1)
    """Models of several that may compute at the same time; the others wait for their turn."""

    model_root: Path | None = None
    """The directory below which callers may load and unload models. Not set: they may not."""

    max_uploads: int = Field(default=64, ge=1)
    """Request bodies that are read at the same time."""

    body_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a request body may take to arrive."""

    log_format: Literal["text", "json"] = "text"
    """How the log is written: lines for people, or one JSON object a line."""

    drain_seconds: float = Field(default=0.0, ge=0)
    """How long to go on answering as not ready before the port closes, for a load balancer to see it."""

    shutdown_seconds: int = Field(default=30, ge=1)
    """How long requests that have begun may take to end once the port is closed."""

    @property
    def needs_key(self) -> bool:
        """Whether callers must send a key."""
        return self.api_key is not None or self.keys_file is not None

    @field_validator("api_key")
    @classmethod
    def _is_strong(cls, key: SecretStr | None) -> SecretStr | None:
        # not a ValueError: pydantic would repeat the key in its message
        if key is not None and not _KEY.fullmatch(key.get_secret_value()):
            what = "the API key is too easy to guess, or no header can carry it"
            fix = (
                "use 22 or more printable ASCII characters without spaces, made by chance: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
            raise ServiceError(Problem("bad-key", what, _variable("api_key"), fix))
        return key


def read_settings(environ: Mapping[str, str], **options: object) -> Settings:
    """The settings in `environ`; raise ServiceError with every one that cannot be used.

    `options` are fields that take the place of what stands there, where they are not None.
    """
    found: dict[str, Any] = {
        name: environ[_variable(name)] for name in Settings.model_fields if environ.get(_variable(name))
    }
    found |= {name: value for name, value in options.items() if value is not None}
    if hosts := found.get("allowed_hosts"):
        found["allowed_hosts"] = tuple(host.strip() for host in hosts.split(",") if host.strip())
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        raise ServiceError([_problem(dict(fault)) for fault in error.errors()]) from error


def _problem(fault: dict[str, Any]) -> Problem:
    name = str(fault["loc"][0])
    what = f"`{name}`: {fault['msg']}; it is {fault['input']!r}"
    description = Settings.model_fields[name].description
    return Problem("bad-setting", what, f"the environment variable {_variable(name)}", f"set: {description}")


def _variable(name: str) -> str:
    return _PREFIX + name.upper()
