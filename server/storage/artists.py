"""Artists' details in the local copy: which artists lack them, and how they are stored.

Each function runs in the caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from models import Artist
from server.spotify.object_parser import ArtistDetails
from server.storage.bulk import IN_BULK, is_any_of, recordset
from server.storage.sweeps import CHANNEL

GOOD_FOR = timedelta(days=7)
FIELDS = (Artist.images, Artist.genres, Artist.popularity, Artist.followers)


def due(session: Session, now: datetime, most: int) -> list[str]:
    """List up to `most` artists without details or with old ones, by Spotify's id, oldest first."""
    old = or_(
        Artist.refreshed_at.is_(None),
        Artist.refreshed_at <= now - GOOD_FOR,
        Artist.refreshed_at > now,  # by a clock that ran ahead then
    )
    oldest = Artist.refreshed_at.nulls_first(), Artist.id
    return list(session.scalars(select(Artist.spotify_id).where(old).order_by(*oldest).limit(most)))


def record_details(
    session: Session, requested: Sequence[str], details: Sequence[ArtistDetails], at: datetime
) -> int:
    """Store the details of the `requested` artists, and return how many artists they change.

    Fields that Spotify leaves out stay as they are. Every requested artist counts as refreshed,
    also one without details, so that it is not requested again at once.
    """
    changed = _record(session, details, at) if details else 0
    session.execute(
        update(Artist).where(is_any_of(Artist.spotify_id, requested)).values(refreshed_at=at),
        execution_options=IN_BULK,
    )
    return changed


def announce(session: Session, origin: str) -> None:
    """Notify every process that its snapshot is out of date."""
    session.execute(select(func.pg_notify(CHANNEL, origin)))


def _record(session: Session, details: Sequence[ArtistDetails], at: datetime) -> int:
    rows = [each.model_dump() for each in details]
    given = recordset(rows, (Artist.spotify_id, *FIELDS))
    values = {field: func.coalesce(given.c[field.key], field) for field in FIELDS}
    differs = or_(*(field.is_distinct_from(value) for field, value in values.items()))
    result = session.execute(
        update(Artist)
        .where(Artist.spotify_id == given.c.spotify_id, differs)
        .values({**values, Artist.updated_at: at})
        .returning(Artist.id),
        execution_options=IN_BULK,
    )
    return len(result.all())
