"""What happened to the local copy, in order."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Change(Base):
    """One event: `kind` is added, updated, gone or deleted; `album` a Spotify id.

    `detail` of an update is `{field: {"old": …, "new": …}}`; `seq` only grows. `release` describes
    the album as it was then (see `server.catalog.release.summary`), so that it outlives the album.
    """

    __tablename__ = "changes"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    album: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
    release: Mapped[dict[str, Any] | None]


class JournalFloor(Base):
    """One row: the highest `seq` that retention has deleted.

    Numbers may have gaps, because a transaction that is rolled back uses some up, so the oldest
    entry alone does not tell whether any was deleted before it.
    """

    __tablename__ = "journal_floor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
