"""Reads artists with their newest releases that match, for pages of artists."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Select, any_, select, true, union_all
from sqlalchemy.orm import Session, aliased

from models import AlbumArtist, Artist
from server.catalog import isolation
from server.catalog.selection import ListedArtist
from server.catalog.snapshot import ArtistEntry
from server.observability.omissions import log_left_out
from server.storage.reading import entries, prepared
from server.storage.reading.filters import Filters, Wanted, matches
from server.storage.reading.prepared import SHAPES, Prepared, prepare
from server.storage.reading.sources import past, present, unchanged

MOST_RELEASES = 20  # of an artist on one page


def read(
    session: Session, wanted: Wanted, chosen: Sequence[int], placed: dict[int, int] | None = None
) -> list[ListedArtist]:
    """Read artists, given by our ids, with their newest releases that match.

    `placed` are the releases that place them, which are shown in any case.
    """
    theirs = _newest(session, wanted, chosen)
    for artist, album in (placed or {}).items():
        theirs[artist].add(album)
    albums = set().union(*theirs.values())
    entry_of = entries.read_by_ids(session, albums, markets="markets" in wanted.query.include)
    ranks = {album: number for number, album in enumerate(entry_of)}
    shown = _read_artists(session, chosen)
    found = []
    for artist in chosen:
        newest = sorted(theirs[artist] & entry_of.keys(), key=ranks.__getitem__)[:MOST_RELEASES]
        if newest and artist in shown:
            found.append(ListedArtist(shown[artist], [entry_of[album] for album in newest]))
    return found


def _read_artists(session: Session, chosen: Sequence[int]) -> dict[int, ArtistEntry]:
    """Read artists by our ids; they may no longer be credited on the releases that place them."""
    rows = session.execute(_by_ids(), {"artists": list(chosen)})
    made, left_out = isolation.build_each(rows, lambda row: (row.id, entries.artist_entry(row)))
    log_left_out("artists", left_out)
    return dict(made)


@cache
def _by_ids() -> Select[Any]:
    return select(*entries.ARTIST_COLUMNS).where(Artist.id == any_(prepared.ids("artists")))


def _newest(session: Session, wanted: Wanted, chosen: Sequence[int]) -> dict[int, set[int]]:
    """Return our ids of the newest releases that match, by those of their artists."""
    theirs: dict[int, set[int]] = {each: set() for each in chosen}
    values = {**wanted.values, "artists": list(chosen)}
    for row in _read_newest(wanted.filters).run(session, values):
        theirs[row.artist].add(row.id)
    return theirs


@lru_cache(SHAPES)
def _read_newest(filters: Filters) -> Prepared:
    album, statement = present()
    rows = statement.where(unchanged(album, changes=filters.changes)).subquery()
    artist, credit, other = aliased(Artist), aliased(AlbumArtist), aliased(Artist)
    newest = (
        select(rows.c.id)
        .join_from(credit, rows, rows.c.id == credit.album_id)
        .where(credit.artist_id == artist.id, matches(filters, rows.c))
        .order_by(rows.c.release_date.desc().nulls_last(), rows.c.created_at.desc())
        .limit(MOST_RELEASES)
        .lateral()
    )
    chosen = prepared.ids("artists")
    now = (
        select(artist.id.label("artist"), newest.c.id)
        .join(newest, true())
        .where(artist.id == any_(chosen))
    )
    if not filters.changes:
        return prepare(now)
    states = past().subquery()
    then = (
        select(other.id.label("artist"), states.c.id)
        .join_from(states, other, other.id == any_(states.c.artists))
        .where(other.id == any_(chosen), matches(filters, states.c))
    )
    return prepare(union_all(now, then))
