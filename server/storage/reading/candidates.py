"""Finds all albums that may match, where an index says which they are and they are few.

So a rare artist, day or word is found at once, however far apart its releases are in the order.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, any_, or_, select, text, union
from sqlalchemy.orm import Session, aliased

from models import Album, AlbumArtist, Artist, FormerArtist, Listing
from server.catalog.query import ReleaseQuery
from server.catalog.reading import Order
from server.catalog.zones import end_of_day, start_of_day
from server.storage.reading import prepared
from server.storage.reading.filters import Wanted
from server.storage.reading.prepared import Prepared, prepare
from server.storage.reading.sources import LAST_FORMER_ARTIST

FEW = 2000  # albums
MIN_WORD = 3  # characters that trigrams can find
KINDS = ("chosen", "among", "words", "upcoming", "after", "first", "before")
HAS_TRIGRAMS = text("SELECT to_regclass('ix_albums_trigrams') IS NOT NULL")


def few_of(session: Session, wanted: Wanted, order: Order) -> Sequence[int] | None:
    """Return the ids of all unchanged albums that may match; None if unknown or more than FEW.

    Of those listed on a day it returns all, because nothing else finds them.
    """
    if wanted.listed is not None:
        return wanted.listed
    used = wanted.filters.used | ({"upcoming"} if wanted.filters.upcoming == "only" else set())
    helpful = KINDS[:3] if order == "released" else KINDS  # whose index has the dates
    for kind in helpful:
        if kind in used and (kind != "words" or _can_search(session, wanted)):
            found = _candidates(kind).run(session, {**wanted.values, "most": FEW + 1})
            ids = [row.id for row in found]
            if len(ids) <= FEW:
                return ids
    return None


def _can_search(session: Session, wanted: Wanted) -> bool:
    """Return whether an index finds the words of a query (migration 0010)."""
    words = wanted.query.q or ""
    return len(words) >= MIN_WORD and bool(session.scalar(HAS_TRIGRAMS))


def _with_words() -> Select[Any]:
    """Select the albums whose names, or artists' present or former names, have the words."""
    credit, artist, former = aliased(AlbumArtist), aliased(Artist), aliased(FormerArtist)
    words, most = prepared.words("words"), prepared.number("most")
    parts: list[Select[Any]] = [
        select(Album.id).where(Album.folded_name.like(words)),
        select(credit.album_id.label("id"))
        .join(artist, artist.id == credit.artist_id)
        .where(artist.folded_name.like(words))
        .distinct(),
        select(credit.album_id.label("id"))
        .join(former, former.artist_id == credit.artist_id)
        .where(former.folded_name.like(words), former.id > LAST_FORMER_ARTIST)
        .distinct(),
    ]
    every = union(*(select(part.limit(most).subquery()) for part in parts)).subquery()
    return select(every.c.id)


@lru_cache(len(KINDS))
def _candidates(kind: str) -> Prepared:
    """Make the statement that reads the albums that one filter leaves, up to `most`."""
    dated = Album.release_date
    if kind in ("chosen", "among"):
        credited = select(AlbumArtist.album_id.label("id")).join(Artist)
        theirs = Artist.spotify_id == any_(prepared.texts(kind))
        found: Select[Any] = credited.where(theirs).distinct()
    elif kind == "words":
        found = _with_words()
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
