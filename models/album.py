"""Albums: everything that Spotify calls an album, including singles and EPs."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Surrogate, Timestamps


class Album(Surrogate, Timestamps, Base):
    """One release.

    `release_date` has 4, 7 or 10 characters (`release_date_precision` year, month or day) and sorts
    bytewise, so that a day comes before its month and a month before its year in descending order.
    `position` is the index in Spotify's list when the album was first seen, which orders the albums
    of one sync. `significant_at` is the last change that matters to feeds (`release.significant`).
    """

    __tablename__ = "albums"
    # Half of each page is left free, so that every sync can update `last_seen_at` in place.
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    spotify_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    album_type: Mapped[str | None]
    release_date: Mapped[str | None] = mapped_column(Text(collation="C"))
    release_date_precision: Mapped[str | None]
    released_on: Mapped[date | None]
    total_tracks: Mapped[int | None]
    uri: Mapped[str]
    href: Mapped[str | None]
    images: Mapped[list[dict[str, Any]]]
    external_urls: Mapped[dict[str, str]]
    available_markets: Mapped[list[str] | None]
    position: Mapped[int]
    last_seen_at: Mapped[datetime]
    significant_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


LATEST_FIRST = (
    Album.release_date.desc().nulls_last(),
    Album.created_at.desc(),
    Album.position,
    Album.spotify_id,
)

SEEN_FIRST = (Album.created_at.desc(), Album.position, Album.spotify_id)  # seen last first

Index("ix_albums_latest", *LATEST_FIRST)
Index("ix_albums_latest_of_type", Album.album_type, *LATEST_FIRST)
Index("ix_albums_seen", *SEEN_FIRST)
Index("ix_albums_seen_of_type", Album.album_type, *SEEN_FIRST)
Index("ix_albums_last_seen_at", Album.last_seen_at)
