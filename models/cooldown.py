"""Which of Spotify's endpoints have to be left alone, and until when."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Cooldown(Base):
    """A pause that Spotify asked for with a 429.

    The row stays after `until` and goes with the next good answer: `unnamed` counts the pauses in a
    row for which Spotify named no time.
    """

    __tablename__ = "cooldowns"

    bucket: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    until: Mapped[datetime]
    reason: Mapped[str]
    unnamed: Mapped[int]
