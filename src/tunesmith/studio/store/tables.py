"""The tables, the same in SQLite and PostgreSQL. `seq` gives the order in which rows came."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["METADATA", "VERSION", "about", "checkpoints", "events", "files", "jobs", "models", "parts"]
__all__ += ["requests", "uploads"]

VERSION = 1
"""Of the tables; a database of another version is refused."""

METADATA = MetaData()
# SQLite counts by itself only what it calls INTEGER
_Seq = BigInteger().with_variant(Integer, "sqlite")
# what is not there is NULL, and not the word null
_Json = JSON(none_as_null=True)


def _seq() -> Column[int]:
    return Column("seq", _Seq, primary_key=True, autoincrement=True)


def _id() -> Column[str]:
    return Column("id", String(256), nullable=False, unique=True)


def _project() -> Column[str]:
    return Column("project", String(64), nullable=False, index=True)


def _time(name: str = "created_at", *, nullable: bool = False) -> Column[int]:
    """Seconds since 1970, UTC."""
    return Column(name, BigInteger, nullable=nullable)


about = Table("about", METADATA, Column("name", String(64), primary_key=True), Column("value", Text))

files = Table(
    "files",
    METADATA,
    _seq(),
    _id(),
    _project(),
    _time(),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("blob", Text, nullable=False),
    _time("expires_at", nullable=True),
)

uploads = Table(
    "uploads",
    METADATA,
    _seq(),
    _id(),
    _project(),
    _time(),
    _time("expires_at"),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("keep_seconds", BigInteger),
    Column("file_id", String(256)),
)

parts = Table(
    "parts",
    METADATA,
    _seq(),
    _id(),
    Column("upload_id", ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False, index=True),
    _time(),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False),
)

jobs = Table(
    "jobs",
    METADATA,
    _seq(),
    _id(),
    _project(),
    _time(),
    Column("model", Text, nullable=False),
    Column("training_file", String(256), nullable=False),
    Column("validation_file", String(256)),
    Column("seed", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("wanted", String(8), nullable=False),
    Column("method", _Json, nullable=False),
    Column("form", String(16)),
    Column("suffix", String(64)),
    Column("metadata", _Json),
    Column("integrations", _Json),
    Column("error", _Json),
    Column("fine_tuned_model", String(256)),
    Column("result_files", _Json, nullable=False),
    Column("trained_tokens", BigInteger),
    Column("step", BigInteger, nullable=False),
    _time("estimated_finish", nullable=True),
    _time("started_at", nullable=True),
    _time("finished_at", nullable=True),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_owner", String(128)),
    Column("lease_until", Float(53)),
    Index("jobs_by_status", "status", "lease_until"),
)

events = Table(
    "events",
    METADATA,
    _seq(),
    _id(),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    _time(),
    Column("level", String(8), nullable=False),
    Column("message", Text, nullable=False),
    Column("type", String(16), nullable=False),
    Column("data", _Json),
)

checkpoints = Table(
    "checkpoints",
    METADATA,
    _seq(),
    _id(),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    _time(),
    Column("step_number", BigInteger, nullable=False),
    Column("model", String(256), nullable=False),
    Column("metrics", _Json, nullable=False),
    UniqueConstraint("job_id", "step_number"),
)

models = Table(
    "models",
    METADATA,
    _seq(),
    _id(),
    _project(),
    _time(),
    Column("job_id", String(256), nullable=False),
    Column("base", Text, nullable=False),
    Column("form", String(16), nullable=False),
    Column("blob", Text, nullable=False),
)

requests = Table(
    "requests",
    METADATA,
    _seq(),
    _project(),
    Column("fingerprint", String(64), nullable=False),
    Column("body", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    _time(),
    Column("made", String(256), nullable=False),
    UniqueConstraint("project", "fingerprint"),
)
