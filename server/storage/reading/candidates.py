"""Finds all albums that may match, where an index says which they are and they are few.

So a rare artist, day or text is found at once, however far apart its releases are in the order.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

from psycopg2.errors import QueryCanceled
from sqlalchemy import Select, any_, func, literal_column, or_, select, text, union
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, FormerArtist
from models.album import CODED, IS_SEARCHABLE
from server.catalog.query import ReleaseQuery
from server.catalog.reading import Order
from server.storage.listings import listed_on
from server.storage.reading import prepared
from server.storage.reading.filters import Wanted
from server.storage.reading.orders import Walk
from server.storage.reading.prepared import Prepared, prepare
from server.storage.reading.sources import LAST_FORMER_ARTIST, past
from server.storage.reading.walks import Stretch, read_stretch

FEW = 2000  # albums
TRIED = 300  # albums, or artists, that are looked at before a text is searched for
RARE = 3  # of these have a text that is searched for
KINDS = ("chosen", "among", "upcoming", "after", "first", "before")
FOR_SEARCH = text(
    "SELECT set_config('statement_timeout', '1s', true), set_config('enable_seqscan', 'off', true)"
)


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
            ids = _read(session, wanted, kind)
            if len(ids) <= FEW:
                return ids
    return None


def read_some(
    session: Session, wanted: Wanted, walk: Walk, count: int, few: Sequence[int] | None
) -> Stretch:
    """Read up to `count` albums that match, of the few that may (`few_of`) if these are known.

    A text is searched for if a walk finds hardly any album that has it: of a common text, which
    would take longer to search for, it finds enough.
    """
    if few is not None:
        return read_stretch(session, wanted, walk, count, few)
    if "coded" in wanted.filters.used:
        tried = read_stretch(session, wanted, walk, count, examined=TRIED)
        if tried.end is None or len(tried.steps) == count:
            return tried
        if len(tried.steps) < RARE and (few := search(session, wanted)) is not None:
            return read_stretch(session, wanted.found_by_search(), walk, count, few)
    return read_stretch(session, wanted, walk, count)


def artists_of(session: Session, wanted: Wanted, albums: Sequence[int]) -> Sequence[int]:
    """Return our ids of all artists who may be credited on albums, or on any that has changed."""
    statement = _read_artists(changes=wanted.changes)
    found = statement.run(session, {**wanted.values, "few": albums})
    return [row.id for row in found]


def _read(session: Session, wanted: Wanted, kind: str) -> list[int]:
    statement = _candidates(kind, changes=wanted.changes)
    found = statement.run(session, {**wanted.values, "most": FEW + 1})
    return [row.id for row in found]


def search(session: Session, wanted: Wanted) -> Sequence[int] | None:
    """Return the ids of all unchanged albums that may have a coded text; None as by `few_of`.

    Also None if the search takes too long, as it may where many names have all parts of the text,
    but few have them together.
    """
    if not session.scalar(text(IS_SEARCHABLE)):
        return None
    attempt = session.begin_nested()
    try:
        session.execute(FOR_SEARCH)
        ids = _read(session, wanted, "coded")
        return ids if len(ids) <= FEW else None
    except OperationalError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        return None
    finally:
        attempt.rollback()  # of the settings; nothing was written


@cache
def _candidates(kind: str, *, changes: bool) -> Prepared:
    """Make the statement that reads the albums that one filter leaves, up to `most`."""
    dated = Album.release_date
    if kind in ("chosen", "among"):
        credited = select(AlbumArtist.album_id.label("id")).join(Artist)
        found = credited.where(Artist.spotify_id == any_(prepared.texts(kind))).distinct()
    elif kind == "coded":
        found = _named(changes=changes)
    elif kind == "upcoming":
        found = select(Album.id).where(dated > prepared.words("day"))
    elif kind == "before":
        found = select(Album.id).where(dated <= prepared.words("before"))
    else:
        starts = dated == any_(prepared.texts(f"{kind}_starts"))
        found = select(Album.id).where(or_(dated >= prepared.words(kind), starts))
    return prepare(found.limit(prepared.number("most")))


def _named(*, changes: bool) -> Select[Any]:
    """Select the albums whose names have a text, or those of their artists, now or at the start."""
    most, words, coded = (
        prepared.number("most"),
        prepared.words("words"),
        prepared.words("coded"),
    )
    album: Any = literal_column(CODED.format("albums.folded_name"))
    artist: Any = literal_column(CODED.format("artists.folded_name"))
    credit = AlbumArtist.album_id.label("id")
    parts = [
        select(Album.id).where(album.like(coded)),
        select(credit).join(Artist).where(artist.like(coded)),
    ]
    if changes:
        parts.append(
            select(credit)
            .join(FormerArtist, FormerArtist.artist_id == AlbumArtist.artist_id)
            .where(FormerArtist.id > LAST_FORMER_ARTIST, FormerArtist.folded_name.like(words))
        )
    found = union(*(select(part.limit(most).subquery()) for part in parts)).subquery()
    return select(found.c.id)


@cache
def _read_artists(*, changes: bool) -> Prepared:
    now = select(AlbumArtist.artist_id.label("id"))
    now = now.where(AlbumArtist.album_id == any_(prepared.ids("few")))
    if not changes:
        return prepare(now.distinct())
    states = past().subquery()
    return prepare(union(now, select(func.unnest(states.c.artists))))


def read_listed(session: Session, query: ReleaseQuery) -> Sequence[int]:
    """Return the ids of the albums that were listed on the day `at` of a query."""
    listed = listed_on(date.fromisoformat(str(query.at)), query.zone)
    return session.scalars(listed.distinct()).all()
