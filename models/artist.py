"""Artists; null means that Spotify did not report a value, which is not the same as empty."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Surrogate, Timestamps


class Artist(Surrogate, Timestamps, Base):
    """One artist; `refreshed_at` is when its details were last fetched."""

    __tablename__ = "artists"

    spotify_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    uri: Mapped[str]
    href: Mapped[str | None]
    external_urls: Mapped[dict[str, str]]
    images: Mapped[list[dict[str, Any]] | None]
    genres: Mapped[list[str] | None]
    popularity: Mapped[int | None]
    followers: Mapped[int | None]
    refreshed_at: Mapped[datetime | None]


Index("ix_artists_refreshed", Artist.refreshed_at.nulls_first(), Artist.id)
Index("ix_artists_updated_at", Artist.updated_at)
