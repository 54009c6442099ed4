"""A PostgreSQL of its own for tests, on a Unix socket, by an unprivileged user; and databases in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

__all__ = ["binaries", "new_database", "running"]

# a test's data need not outlive the machine
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "listen_addresses": ""}


def binaries() -> Path | None:
    """Where Debian keeps the newest server's programs; None where it has none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    return found[-1].parent if found else None


def _user() -> str | None:
    """Who may run a server, which root may not."""
    if os.geteuid():
        return None
    return next((name for name in ("postgres", "nobody") if _is_user(name)), None)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _run(user: str | None, *words: str) -> None:
    subprocess.run(words, user=user, check=True, capture_output=True, cwd="/")


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """A server while the block runs; the address of its first database."""
    # a socket's path may not be long, as those of pytest's directories are
    place = Path(mkdtemp(prefix="pg-", dir="/tmp"))
    user = _user()
    if user is not None:
        shutil.chown(place, user)
    data, log = str(place / "data"), str(place / "log")
    try:
        _run(user, str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "tests", "--no-sync")
        settings = " ".join(f"-c {name}='{value}'" for name, value in _SETTINGS.items())
        options = f"-k {place} {settings} -c max_connections=200"
        control = [str(programs / "pg_ctl"), "-D", data, "-w"]
        _run(user, *control, "-l", log, "-o", options, "start")
        try:
            yield f"postgresql+psycopg://tests@/postgres?host={place}"
        finally:
            _run(user, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def new_database(server: str) -> str:
    """The address of a new and empty database of the server."""
    from sqlalchemy import create_engine

    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")
