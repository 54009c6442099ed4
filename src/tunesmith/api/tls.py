"""Certificate and key -> what the server encrypts with, or one clear error."""

from __future__ import annotations

import ssl
from pathlib import Path

from tunesmith.api.settings import Settings
from tunesmith.errors import Problem, ServiceError, StorageError
from tunesmith.files import storage_errors

__all__ = ["tls_context"]


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or later with the certificate and key of `settings`; None where there are none.

    Raises ServiceError or StorageError where they cannot be used.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing, given = ("--tls-cert", key) if cert is None else ("--tls-key", cert)
        what = "a certificate and its key belong together, and only one was named"
        raise ServiceError(Problem("tls-incomplete", what, str(given), f"name the other with {missing}"))
    _check_readable(cert, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key, settings)
    return context


def _check_readable(*paths: Path) -> None:
    problems: list[Problem] = []
    for path in paths:
        try:
            with storage_errors(path):
                path.read_bytes()
        except StorageError as error:
            problems += error.problems
    if problems:
        raise StorageError(problems)


def _load(context: ssl.SSLContext, cert: Path, key: Path, settings: Settings) -> None:
    password = settings.tls_key_password
    asked = False

    def tell() -> str:
        # without this OpenSSL would ask at the terminal
        nonlocal asked
        asked = True
        return "" if password is None else password.get_secret_value()

    try:
        context.load_cert_chain(cert, key, tell)
    except (ssl.SSLError, ValueError) as error:
        raise ServiceError(_problem(cert, key, error, encrypted=asked, told=password is not None)) from error


def _problem(cert: Path, key: Path, error: Exception, *, encrypted: bool, told: bool) -> Problem:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        fix = f"name the key that the certificate in {cert} was made for"
        return Problem("tls-pair", "this key does not belong to the certificate", str(key), fix)
    if encrypted:
        what = (
            "the password of the key is wrong"
            if told
            else "the key is encrypted, and its password is not known"
        )
        fix = "set the password in the environment variable TUNESMITH_TLS_KEY_PASSWORD"
        return Problem("tls-password", what, str(key), fix)
    what = "there is no certificate, or no private key, in the PEM format that could be used"
    if reason := getattr(error, "reason", None):
        what += f" (OpenSSL: {reason})"
    fix = "name a file that begins with -----BEGIN CERTIFICATE----- and one with a PRIVATE KEY"
    return Problem("tls-unreadable", what, f"{cert}, {key}", fix)
