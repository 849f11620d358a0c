"""The journal: changes of the local copy, in order."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import GROWING, Base


class Change(Base):
    """One change of the album with the Spotify id `album`; `seq` only grows.

    `kind` is added, found (stored, but not new), updated, gone (it left all lists) or deleted (by
    retention). `detail` of an update is `{field: {"old": …, "new": …}}`, else empty. `release` is a
    summary of the album at that time (`server.catalog.release.summary`), which remains after the
    album is deleted; null if there is none.
    """

    __tablename__ = "changes"
    __table_args__ = ({"postgresql_with": GROWING},)

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    album: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
    release: Mapped[dict[str, Any] | None]


class JournalFloor(Base):
    """One row: the highest `seq` that retention has deleted, with the mark of that entry.

    `seq` has gaps where a transaction was rolled back, so the oldest entry alone does not show
    whether any was deleted before it. `mark` is empty if an older version has deleted the entry.
    """

    __tablename__ = "journal_floor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    mark: Mapped[str] = mapped_column(server_default=text("''"))
