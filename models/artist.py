"""Artists; null means that Spotify did not report a value, which is not the same as empty."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, func, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import GROWING, Base, Surrogate, Timestamps


class Artist(Surrogate, Timestamps, Base):
    """One artist; `refreshed_at` is when its details were last fetched.

    `folded_name` is derived from the name whenever it is written, to order and search by.
    """

    __tablename__ = "artists"
    __table_args__ = ({"postgresql_with": GROWING},)

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
    folded_name: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))


class FormerArtist(Base):
    """The name of an artist, folded, before it changed; see `FormerAlbum`."""

    __tablename__ = "former_artists"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    artist_id: Mapped[int] = mapped_column(ForeignKey("artists.id", ondelete="CASCADE"), index=True)
    changed_at: Mapped[datetime] = mapped_column(index=True)
    folded_name: Mapped[str] = mapped_column(Text(collation="C"))


Index("ix_artists_refreshed", Artist.refreshed_at.nulls_first(), Artist.id)
Index("ix_artists_updated_at", Artist.updated_at)
Index(
    "ix_artists_name",
    func.left(Artist.folded_name, literal_column("100")),
    Artist.spotify_id,
)
