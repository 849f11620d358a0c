"""Number of calls to Spotify, by bucket and hour."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Quota(Base):
    """The calls of all processes to `bucket` in the hour that starts at `window`."""

    __tablename__ = "quota"

    bucket: Mapped[str] = mapped_column(primary_key=True)
    window: Mapped[datetime] = mapped_column("window", primary_key=True)
    calls: Mapped[int]
