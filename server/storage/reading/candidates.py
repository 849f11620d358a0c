"""Finds all albums that may match, where an index says which they are and they are few.

So a rare artist or day is found at once, however far apart its releases are in the order.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from sqlalchemy import any_, or_, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Listing
from server.catalog.query import ReleaseQuery
from server.catalog.reading import Order
from server.catalog.zones import end_of_day, start_of_day
from server.storage.reading import prepared
from server.storage.reading.filters import Wanted
from server.storage.reading.prepared import Prepared, prepare

FEW = 2000  # albums
KINDS = ("chosen", "among", "upcoming", "after", "first", "before")


def few_of(session: Session, wanted: Wanted, order: Order) -> Sequence[int] | None:
    """Return the ids of all unchanged albums that may match; None if unknown or more than FEW.

    Of those listed on a day it returns all, because nothing else finds them.
    """
    if wanted.listed is not None:
        return wanted.listed
    used = wanted.filters.used | ({"upcoming"} if wanted.filters.upcoming == "only" else set())
    helpful = KINDS[:2] if order == "released" else KINDS  # whose index has the dates
    for kind in helpful:
        if kind in used:
            found = _candidates(kind).run(session, {**wanted.values, "most": FEW + 1})
            ids = [row.id for row in found]
            if len(ids) <= FEW:
                return ids
    return None


@lru_cache(len(KINDS))
def _candidates(kind: str) -> Prepared:
    """Make the statement that reads the albums that one filter leaves, up to `most`."""
    dated = Album.release_date
    if kind in ("chosen", "among"):
        credited = select(AlbumArtist.album_id.label("id")).join(Artist)
        found = credited.where(Artist.spotify_id == any_(prepared.texts(kind))).distinct()
    elif kind == "upcoming":
        found = select(Album.id).where(dated > prepared.words("day"))
    elif kind == "before":
        found = select(Album.id).where(dated <= prepared.words("before"))
    else:
        starts = dated == any_(prepared.texts(f"{kind}_starts"))
        found = select(Album.id).where(or_(dated >= prepared.words(kind), starts))
    return prepare(found.limit(prepared.number("most")))


def read_listed(session: Session, query: ReleaseQuery) -> Sequence[int]:
    """Return the ids of the albums that were listed on the day `at` of a query."""
    day, where = date.fromisoformat(str(query.at)), query.zone
    listed = select(Listing.album_id).where(
        Listing.since < end_of_day(day, where),
        or_(Listing.until.is_(None), Listing.until > start_of_day(day, where)),
    )
    return session.scalars(listed.distinct()).all()
