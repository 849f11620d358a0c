"""Albums: everything that Spotify calls an album, including singles and EPs."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Text,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import GROWING, Base, Surrogate, Timestamps


class Album(Surrogate, Timestamps, Base):
    """One release.

    `release_date` has 4, 7 or 10 characters (`release_date_precision` year, month or day) and sorts
    bytewise, so that a day comes before its month and a month before its year in descending order.
    `position` is the index in Spotify's list when the album was first seen, which orders the albums
    of one sync. `significant_at` is the last change that matters to feeds (`release.significant`).
    `last_seen_on` is the day (UTC) of `last_seen_at`.
    `folded_name`, `kind`, `work` and `removed` are derived from the others whenever these are
    written (`server.storage.reading.derived`), so that all that is kept can be ordered and
    searched.
    """

    __tablename__ = "albums"
    # Half of each page is left free, so that every sync can update `last_seen_at` in place, which
    # takes that no index has that column: the one on the day changes once a day.
    __table_args__ = ({"postgresql_with": {"fillfactor": 50, **GROWING}},)

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
    last_seen_on: Mapped[date] = mapped_column(
        Computed("CAST(timezone('UTC', last_seen_at) AS date)", persisted=True)
    )
    significant_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    folded_name: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))
    kind: Mapped[str | None]
    work: Mapped[str | None]
    removed: Mapped[int] = mapped_column(server_default=text("0"))


class FormerAlbum(Base):
    """What orders and selects an album, as it was before a change; `id` only grows.

    A client that began to read everything before the change is shown the album where it was. Kept
    for some days. `artists` are our ids, in the order of the credits.
    """

    __tablename__ = "former_albums"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    album_id: Mapped[int] = mapped_column(ForeignKey("albums.id", ondelete="CASCADE"), index=True)
    changed_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]
    release_date: Mapped[str | None] = mapped_column(Text(collation="C"))
    album_type: Mapped[str | None]
    available_markets: Mapped[list[str] | None]
    folded_name: Mapped[str] = mapped_column(Text(collation="C"))
    kind: Mapped[str | None]
    work: Mapped[str | None]
    removed: Mapped[int]
    artists: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


NAME_LENGTH = 100  # characters by which names are ordered, because an index holds only short texts
NAME_FIRST = (func.left(Album.folded_name, literal_column(str(NAME_LENGTH))), Album.spotify_id)
# Digits of the day (UTC) on which an album was first seen. Only such expressions can be in an
# index, because texts of dates depend on settings of the session.
SEEN_DAY = (
    "(extract(year FROM {0} AT TIME ZONE 'UTC') * 10000"
    " + extract(month FROM {0} AT TIME ZONE 'UTC') * 100"
    " + extract(day FROM {0} AT TIME ZONE 'UTC'))::text"
)
ANNOUNCED = "(replace({1}, '-', '') > " + SEEN_DAY + ")"  # seen before its day: created_at, date

# The indexes of the search, which `server.database.search_index` adds where PostgreSQL has pg_trgm.
# pg_trgm finds only letters and digits of the database's locale, in most those of ASCII alone: so
# other characters are indexed as the octal digits of their bytes, and are searched for as such.
SEARCHED = {"albums": "ix_albums_searched", "artists": "ix_artists_searched"}
CODED = r"encode(CAST(replace({0}, E'\\', E'\\\\') AS bytea), 'escape')"
IS_SEARCHABLE = """
SELECT count(*) = 2 FROM pg_index WHERE indisvalid
AND indexrelid IN (to_regclass('ix_albums_searched'), to_regclass('ix_artists_searched'))
"""


def latest_first(of: Any) -> tuple[Any, ...]:
    """Return the order of releases, the latest first; `of` has the columns of the table."""
    return of.release_date.desc().nulls_last(), *seen_first(of)


def seen_first(of: Any) -> tuple[Any, ...]:
    """Return the order of releases, those first seen last first."""
    return of.created_at.desc(), of.position, of.spotify_id


def nearest_first(of: Any) -> tuple[Any, ...]:
    """Return the order of `latest_first` backwards, so that the same index has it."""
    rest = of.created_at, of.position.desc(), of.spotify_id.desc()
    return of.release_date.nulls_first(), *rest


LATEST_FIRST, SEEN_FIRST = latest_first(Album), seen_first(Album)

Index("ix_albums_latest", *LATEST_FIRST)
Index("ix_albums_latest_of_type", Album.album_type, *LATEST_FIRST)
Index("ix_albums_seen", *SEEN_FIRST)
Index("ix_albums_seen_of_type", Album.album_type, *SEEN_FIRST)
Index("ix_albums_last_seen_on", Album.last_seen_on)
Index("ix_albums_name", *NAME_FIRST)
Index("ix_albums_work", Album.work)
Index(
    "ix_albums_announced",
    *LATEST_FIRST,
    postgresql_where=literal_column(ANNOUNCED.format("created_at", "release_date")),
)
