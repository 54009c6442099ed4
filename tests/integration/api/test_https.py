"""The server behind TLS, as clients meet it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from tests.forked import nursery
from tests.integration.api.test_process import SLEEPY


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def url(authority: trustme.CA, tmp_path: Path) -> Iterator[str]:
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    environ = {
        **os.environ,
        "TUNESMITH_TLS_CERT": str(tmp_path / "cert.pem"),
        "TUNESMITH_TLS_KEY": str(tmp_path / "key.pem"),
    }
    with nursery().start(["-c", SLEEPY, "0"], environ, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        assert process.wait(30) == 0


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def ask(client: httpx.Client, headers: dict[str, str] | None = None) -> httpx.Response:
    return client.post("v1/classify", json={"input": "a text"}, headers=headers)


def test_it_answers_https_and_nothing_else(url: str, authority: trustme.CA) -> None:
    assert url.startswith("https://127.0.0.1:")
    with httpx.Client(base_url=url, verify=trusting(authority), timeout=30) as client:
        assert ask(client).json()["results"][0]["label"] == "yes"
        # the page may send to its own address
        assert ask(client, {"Origin": url[:-1]}).status_code == 200
    with httpx.Client(base_url=url, timeout=30) as stranger, pytest.raises(httpx.ConnectError):
        ask(stranger)
    plainly = httpx.Client(base_url=url.replace("https", "http"), timeout=30)
    with plainly, pytest.raises(httpx.RemoteProtocolError):
        ask(plainly)
    with httpx.Client(base_url=url, verify=trusting(authority), timeout=30) as client:
        assert ask(client).status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_client_is_refused(url: str, authority: trustme.CA) -> None:
    context = trusting(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    address = urlsplit(url)
    for version, spoken in ((ssl.TLSVersion.TLSv1_1, None), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
        context.maximum_version = version
        assert _spoken(context, address.hostname or "", address.port or 0) == spoken


def _spoken(context: ssl.SSLContext, host: str, port: int) -> str | None:
    with socket.create_connection((host, port), timeout=20) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                return connection.version()
        except ssl.SSLError:
            return None
