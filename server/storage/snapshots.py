"""Reads the snapshot that a process serves from, in four statements.

Releases are read through indexes in their order, so the cost does not grow with the tables.
"""

from collections.abc import Collection
from datetime import date
from functools import cache
from typing import Any, get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    any_,
    bindparam,
    or_,
    select,
    union,
)
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist
from models.album import latest_first, nearest_first, seen_first
from server.catalog.query import AlbumType, Portion
from server.catalog.release import is_upcoming
from server.catalog.snapshot import (
    HELD,
    AlbumEntry,
    Depth,
    Snapshot,
)
from server.catalog.zones import zone
from server.storage import freshness
from server.storage.bulk import is_any_of
from server.storage.listings import listed_on
from server.storage.reading import entries

OF_ARTISTS = Depth(1000, 500)  # for the artists of one query: 20 releases of each of 50
# What the windows of some artists' releases are cut by, read once for all windows.
NAMES = ("id", "spotify_id", "album_type", "release_date", "created_at", "position")
ORDERING = tuple(getattr(Album, name) for name in NAMES)


def load(session: Session, today: date, depth: Depth = HELD) -> Snapshot:
    """Read the snapshot to serve; `today` is the day in UTC."""
    freshness.as_of_one_moment(session)
    return _cut(session, _latest_held(depth), today, depth)


def _cut(session: Session, statement: Select[Any], today: date, depth: Depth) -> Snapshot:
    """Read a snapshot that is cut at a depth; it is whole if nothing was cut off."""
    read = entries.read(session, statement, today=today.isoformat())
    upcoming = sum(is_upcoming(each.release_date, today.isoformat()) for each in read.entries)
    whole = max(upcoming, len(read.entries) - upcoming) < depth.overall
    return Snapshot(read.entries, freshness.read(session), depth, read.baseline, whole)


def load_portion(session: Session, portion: Portion, today: date) -> Snapshot:
    """Read the releases listed on a day, or those of artists; `today` is the day in UTC."""
    freshness.as_of_one_moment(session)
    if portion.at is None:
        return _of_artists(session, portion.artists, today)
    listed = listed_on(date.fromisoformat(portion.at), zone(portion.tz))
    return _complete(session, Album.id.in_(listed))


def _complete(session: Session, condition: ColumnElement[bool]) -> Snapshot:
    """Read a snapshot of all releases that satisfy `condition`."""
    read = entries.read(session, entries.latest(condition))
    return Snapshot(read.entries, freshness.read(session), None, read.baseline, whole=True)


def _of_artists(session: Session, artists: Collection[str], today: date) -> Snapshot:
    """Read all releases of artists; of artists with more than OF_ARTISTS, down to that depth."""
    found = session.scalars(_credited(artists).limit(OF_ARTISTS.overall + 1)).all()
    if len(found) > OF_ARTISTS.overall:
        return load_of_artists(session, artists, today, OF_ARTISTS)
    return _complete(session, Album.id == any_(bindparam(None, found, ARRAY(BigInteger))))


def load_of_artists(
    session: Session, artists: Collection[str], today: date, depth: Depth = HELD
) -> Snapshot:
    """Read the releases of artists, given by Spotify's ids, down to `depth` in each order.

    `today` is the day in UTC. Each order is cut as in `load`, so that the snapshot stays as small
    however many artists there are.
    """
    theirs = select(*ORDERING).where(Album.id.in_(_credited(artists))).cte("theirs")
    return _cut(session, entries.latest(_held(depth, theirs.c)), today, depth)


def _credited(artists: Collection[str]) -> Select[Any]:
    """Select the ids of the releases that artists are credited on, each once."""
    credited = select(AlbumArtist.album_id.label("id")).join(Artist)
    return credited.where(is_any_of(Artist.spotify_id, artists)).distinct()


def read_entries(session: Session, condition: ColumnElement[bool]) -> tuple[AlbumEntry, ...]:
    """Read the releases that satisfy `condition`, latest first; see `entries.read`."""
    return entries.read(session, entries.latest(condition)).entries


@cache
def _latest_held(depth: Depth) -> Select[Any]:
    return entries.latest(_held(depth))


def _held(depth: Depth, of: Any = Album) -> ColumnElement[bool]:
    """Select the first releases in each order on the day `today`, of all types and of each type.

    Each part is read through one index. Upcoming releases have a window of their own, the nearest
    first. With `of`, columns of a table of ORDERING, only the releases in it are selected.
    """
    day = bindparam("today", type_=Album.release_date.type)
    out = select(of.id).where(or_(of.release_date.is_(None), of.release_date <= day))
    upcoming = select(of.id).where(of.release_date > day).order_by(*nearest_first(of))
    windows = [upcoming.limit(depth.overall)]
    for order in (latest_first(of), seen_first(of)):
        windows.append(out.order_by(*order).limit(depth.overall))
        for name in get_args(AlbumType):
            of_type = out.where(of.album_type == name)
            windows.append(of_type.order_by(*order).limit(depth.of_type))
    return Album.id.in_(union(*(select(each.subquery().c.id) for each in windows)))
