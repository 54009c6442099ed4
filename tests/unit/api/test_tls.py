"""A certificate and its key are used, or refused in words before anything is loaded."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tunesmith.api.server import serve_model
from tunesmith.api.settings import Settings
from tunesmith.api.tls import tls_context
from tunesmith.errors import Problem, UserError

PASSWORD = "a password of the test"


@dataclass(frozen=True)
class Files:
    cert: Path
    key: Path
    encrypted: Path
    other_key: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    place = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    ours, other = (authority.issue_cert("localhost", "127.0.0.1") for _ in range(2))
    found = Files(place / "cert.pem", place / "key.pem", place / "encrypted.pem", place / "other.pem")
    ours.cert_chain_pems[0].write_to_path(found.cert)
    ours.private_key_pem.write_to_path(found.key)
    other.private_key_pem.write_to_path(found.other_key)
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(PASSWORD.encode())
    found.encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return found


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(Settings()) is None


def test_nothing_older_than_tls_1_2_is_spoken(files: Files) -> None:
    context = tls_context(Settings(tls_cert=files.cert, tls_key=files.key))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_encrypted_key_opens_with_its_password(files: Files) -> None:
    settings = Settings.model_validate(
        {"tls_cert": files.cert, "tls_key": files.encrypted, "tls_key_password": PASSWORD}
    )
    assert tls_context(settings) is not None
    assert PASSWORD not in repr(settings)


def refused(**settings: object) -> list[Problem]:
    with pytest.raises(UserError) as caught:
        tls_context(Settings.model_validate(settings))
    assert PASSWORD not in str(caught.value)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("cert", "key", "password", "code"),
    [
        ("cert", None, None, "tls-incomplete"),
        (None, "key", None, "tls-incomplete"),
        ("cert", "other_key", None, "tls-pair"),
        ("cert", "encrypted", None, "tls-password"),
        ("cert", "encrypted", f"not {PASSWORD}", "tls-password"),
        ("cert", "encrypted", "x" * 2000, "tls-password"),
        ("cert", "cert", None, "tls-unreadable"),
        ("key", "key", None, "tls-unreadable"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(
    files: Files, cert: str | None, key: str | None, password: str | None, code: str
) -> None:
    settings = {
        "tls_cert": None if cert is None else getattr(files, cert),
        "tls_key": None if key is None else getattr(files, key),
        "tls_key_password": password,
    }
    (problem,) = refused(**settings)
    assert problem.code == code
    assert problem.fix


def test_all_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    problems = refused(tls_cert=tmp_path / "a.pem", tls_key=tmp_path / "b.pem")
    assert [problem.code for problem in problems] == ["no-file", "no-file"]
    assert [problem.where for problem in problems] == [str(tmp_path / "a.pem"), str(tmp_path / "b.pem")]


def test_rubbish_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(b"\x00\xff")
    (problem,) = refused(tls_cert=tmp_path / "a.pem", tls_key=tmp_path / "a.pem")
    assert problem.code == "tls-unreadable"


def test_it_is_told_before_the_model_is_looked_for(files: Files) -> None:
    settings = Settings(tls_cert=files.cert, tls_key=files.other_key)
    with pytest.raises(UserError, match="tls-pair"):
        serve_model(Path("no-such-model"), port=0, settings=settings)
