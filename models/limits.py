"""The limits of Spotify's endpoints: calls by the hour, pauses, and learnt ceilings.

All belong to one app. `client_id` is empty in rows that were written before client ids were stored.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Quota(Base):
    """The calls that all processes made for one app to `bucket` in the hour from `window` on.

    `following` is how many of them looked for the releases of followed artists.
    """

    __tablename__ = "quota"

    client_id: Mapped[str] = mapped_column(primary_key=True, server_default=text("''"))
    bucket: Mapped[str] = mapped_column(primary_key=True)
    window: Mapped[datetime] = mapped_column("window", primary_key=True)
    calls: Mapped[int]
    following: Mapped[int] = mapped_column(server_default=text("0"))


class Cooldown(Base):
    """A pause that Spotify asked for with a 429.

    The row stays after `until`; the next successful response deletes it. `unnamed` counts the
    consecutive pauses for which Spotify named no duration.
    """

    __tablename__ = "cooldowns"

    client_id: Mapped[str] = mapped_column(primary_key=True, server_default=text("''"))
    bucket: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    until: Mapped[datetime]
    reason: Mapped[str]
    unnamed: Mapped[int]


class Ceiling(Base):
    """The ceiling of one bucket for one app, in calls in 24 hours; `changed_at` is its last change.

    `refused_at` is when Spotify last refused a call because its own ceiling was reached, and
    `refused_calls` the number of calls that went through before; null if that never happened.
    """

    __tablename__ = "ceilings"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    per_day: Mapped[int]
    changed_at: Mapped[datetime]
    refused_at: Mapped[datetime | None]
    refused_calls: Mapped[int | None]
