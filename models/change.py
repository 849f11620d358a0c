"""What happened to the local copy, in order."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Change(Base):
    """One event: `kind` is added, updated or gone; `album` a Spotify id that outlives the album.

    `detail` of an update is `{field: {"old": …, "new": …}}`; `seq` only grows.
    """

    __tablename__ = "changes"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    album: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
