"""When the releases of followed and watched artists are looked up, and what that brought."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Surrogate


class ArtistSchedule(Base):
    """When one artist is checked next; `artist` is Spotify's id.

    `interval_days` is the time between two checks while nothing changes. `newest_release` is the
    newest release date found, of 4, 7 or 10 characters. `etags` has the ETag of each request's last
    answer. `failures` counts failed checks in a row, `error` is the reason of the last one.
    `searched_at` is the last check by the search.
    """

    __tablename__ = "artist_schedules"

    artist: Mapped[str] = mapped_column(primary_key=True)
    added_at: Mapped[datetime]
    next_check_at: Mapped[datetime] = mapped_column(index=True)
    checked_at: Mapped[datetime | None]
    interval_days: Mapped[int]
    newest_release: Mapped[str | None]
    etags: Mapped[dict[str, str]]
    failures: Mapped[int]
    error: Mapped[str | None]
    searched_at: Mapped[datetime | None]


class ArtistCheck(Surrogate, Base):
    """One check of an artist's releases.

    `way` is `albums` (the artist's own lists) or `search`; `retention`, without an artist, is the
    deletion of releases that only checks have seen. `not_modified` counts the calls that
    were answered by 304, `seen` the releases found, `added` those that were new. `changed` is true
    if any content changed.
    """

    __tablename__ = "artist_checks"

    artist: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    way: Mapped[str]
    calls: Mapped[int]
    not_modified: Mapped[int]
    seen: Mapped[int]
    added: Mapped[int]
    changed: Mapped[bool]
    error: Mapped[str | None]


Index("ix_artist_checks_changed", ArtistCheck.at, postgresql_where=text("changed"))
