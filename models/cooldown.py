"""Pauses that Spotify asked for, by endpoint."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Cooldown(Base):
    """A pause that Spotify asked for with a 429.

    The row stays after `until`; the next successful response deletes it. `unnamed` counts the
    consecutive pauses for which Spotify named no duration.
    """

    __tablename__ = "cooldowns"

    bucket: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    until: Mapped[datetime]
    reason: Mapped[str]
    unnamed: Mapped[int]
