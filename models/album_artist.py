"""Credits: the artists of each album, in Spotify's order."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import GROWING, Base


class AlbumArtist(Base):
    """The credit of an artist on an album; `position` counts from 0, the main artist."""

    __tablename__ = "album_artists"
    __table_args__ = ({"postgresql_with": GROWING},)

    album_id: Mapped[int] = mapped_column(
        ForeignKey("albums.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    artist_id: Mapped[int] = mapped_column(ForeignKey("artists.id"))


Index("ix_album_artists_artist_id_album_id", AlbumArtist.artist_id, AlbumArtist.album_id)
