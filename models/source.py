"""Which of Spotify's endpoints this app may use for new releases."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Source(Base):
    """What we last learnt of one source: `verdict` is allowed or restricted, `reason` Spotify's.

    `newest` is the newest release date it named then, of 4, 7 or 10 characters.
    """

    __tablename__ = "sources"

    name: Mapped[str] = mapped_column(primary_key=True)
    verdict: Mapped[str]
    reason: Mapped[str | None]
    newest: Mapped[str | None]
    probed_at: Mapped[datetime]
