"""What albums and artists were before a change, for readings that began earlier.

Writers hold the writers' lock until they commit, so former states become visible in the order of
their ids: a reading knows by the highest one at its start which changes it has not seen.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.orm import Session, aliased

from models import Album, AlbumArtist, FormerAlbum, FormerArtist
from server.storage.bulk import IN_BULK

KEPT_FOR = timedelta(days=9)  # longer than any cursor is valid (`catalog.reading`), in every zone
STATE = (
    "created_at",
    "release_date",
    "album_type",
    "available_markets",
    "folded_name",
    "kind",
    "work",
    "removed",
)
# Fields of Spotify's that order or select an album; others may change unnoticed by readings.
DECISIVE = {
    "name",
    "album_type",
    "release_date",
    "total_tracks",
    "available_markets",
    "artists",
}


def keep_albums(session: Session, condition: ColumnElement[bool], at: datetime) -> None:
    """Store the present state of the albums that satisfy `condition`, which change at `at`."""
    session.execute(_kept(condition, at))


def kept_first(condition: ColumnElement[bool], at: datetime) -> CTE:
    """Make the same as part of the statement that changes these albums."""
    kept: CTE = _kept(condition, at).returning(FormerAlbum.id).cte("former")
    return kept


def _kept(condition: ColumnElement[bool], at: datetime) -> Any:
    changed_at = bindparam("changed_at", at, FormerAlbum.changed_at.type, unique=True)
    state = [getattr(Album, name) for name in STATE]
    present = select(Album.id, changed_at, *state, _credited()).where(condition)
    names = ["album_id", "changed_at", *STATE, "artists"]
    return insert(FormerAlbum).from_select(names, present)


def _credited() -> ColumnElement[Any]:
    """Select our ids of an album's artists, in the order of the credits."""
    ids = func.array_agg(AlbumArtist.artist_id.op("ORDER BY")(AlbumArtist.position))
    theirs: Select[Any] = select(ids).where(AlbumArtist.album_id == Album.id)
    none = cast([], ARRAY(BigInteger))
    return func.coalesce(theirs.correlate(Album).scalar_subquery(), none)


def prune(session: Session, now: datetime, most: int) -> tuple[int, set[int]]:
    """Delete up to `most` of the former states that no cursor needs, of each kind.

    The newest of each kind stays: a reading that began after it must not take the database for one
    that was restored. Those of deleted albums and artists have been deleted with these. Returns how
    many were deleted of the kind with most, and our ids of the artists that these albums were
    credited to.
    """
    albums = delete(FormerAlbum).where(_past(FormerAlbum, now, most)).returning(FormerAlbum.artists)
    artists = delete(FormerArtist).where(_past(FormerArtist, now, most)).returning(FormerArtist.id)
    credited = session.scalars(albums, execution_options=IN_BULK).all()
    named = session.scalars(artists, execution_options=IN_BULK).all()
    return max(len(credited), len(named)), {artist for each in credited for artist in each}


def _past(
    model: type[FormerAlbum] | type[FormerArtist], now: datetime, most: int
) -> ColumnElement[bool]:
    newest = select(func.max(aliased(model).id)).scalar_subquery()
    old = select(model.id).where(model.changed_at < now - KEPT_FOR, model.id < newest).limit(most)
    return model.id.in_(old.scalar_subquery())
