"""Albums as a reading sees them: those that have not changed since its start, and former states.

Both have the same columns, so each filter and each order is written once for both.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    any_,
    cast,
    exists,
    false,
    func,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.orm import Session, aliased

from models import Album, AlbumArtist, FormerAlbum, FormerArtist
from server.catalog.snapshot import Baseline
from server.storage.reading.former import STATE
from server.storage.reading.prepared import IDS, Prepared, number, prepare

BASELINE = ("baseline_albums", "baseline_former_albums", "baseline_former_artists")
LAST_ALBUM, LAST_FORMER, LAST_FORMER_ARTIST = (number(name) for name in BASELINE)
Rows = Any  # the columns of a subquery by `present` or `past`


def read_baseline(session: Session) -> Baseline:
    """Read the highest id of each table that readings use; reads only indexes."""
    return Baseline(*tuple(_baseline().run(session, {}).one()))


def last_given(session: Session) -> int:
    """Return the highest id that an album was given, which may have been deleted since."""
    sequence = cast(func.pg_get_serial_sequence(Album.__tablename__, Album.id.key), REGCLASS)
    return session.scalar(select(func.pg_sequence_last_value(sequence))) or 0


def _baseline_columns() -> list[ColumnElement[int]]:
    tables: tuple[Any, ...] = aliased(Album), aliased(FormerAlbum), aliased(FormerArtist)
    return [
        func.coalesce(select(func.max(table.id)).scalar_subquery(), 0).label(name)
        for name, table in zip(BASELINE, tables, strict=True)
    ]


BASELINE_COLUMNS = _baseline_columns()  # of any statement, in the order of the fields of Baseline


@cache
def _baseline() -> Prepared:
    return prepare(select(*BASELINE_COLUMNS))


def present(name: str | None = None) -> tuple[Any, Select[Any]]:
    """Return an alias of the albums, named if need be, and a statement that selects from it."""
    album = aliased(Album, name=name)
    state = [getattr(album, name) for name in STATE]
    columns = album.id, album.spotify_id, album.position, *state
    return album, select(*columns, cast(null(), IDS).label("artists"))


def past() -> Select[Any]:
    """Select the states at the start of a reading of the albums that have changed since."""
    album, former, earlier = aliased(Album), aliased(FormerAlbum), aliased(FormerAlbum)
    state = [getattr(former, name) for name in STATE]
    again = exists().where(
        earlier.album_id == former.album_id, earlier.id > LAST_FORMER, earlier.id < former.id
    )
    return (
        select(album.id, album.spotify_id, album.position, *state, former.artists)
        .join(album, album.id == former.album_id)
        .where(former.id > LAST_FORMER, album.id <= LAST_ALBUM, ~again)
    )


def unchanged(album: Rows, *, changes: bool) -> ColumnElement[bool]:
    """Make the condition that an album was there at the start and has not changed since.

    Here and below, `changes` is whether anything has changed since: if not, statements leave former
    states out, because planning to look for them takes longer than to read a page.
    """
    there: ColumnElement[bool] = album.id <= LAST_ALBUM
    if not changes:
        return there
    former = aliased(FormerAlbum)
    changed = exists().where(former.album_id == album.id, former.id > LAST_FORMER)
    return there & ~changed


def all_albums(*, changes: bool) -> list[Subquery]:
    """Return all albums at the start: those that have not changed, and the states of others."""
    album, statement = present()
    parts = [statement.where(unchanged(album, changes=changes)).subquery()]
    return [*parts, past().subquery()] if changes else parts


def credited(
    rows: Rows, artist: Any, *conditions: ColumnElement[bool], changes: bool
) -> ColumnElement[bool]:
    """Make the condition that an `artist` who satisfies `conditions` is credited on an album."""
    credit = aliased(AlbumArtist)
    now = (
        select(true())
        .join_from(credit, artist, artist.id == credit.artist_id)
        .where(credit.album_id == rows.id, *conditions)
    )
    if not changes:
        return finds(now)
    now = now.where(rows.artists.is_(None))
    then = select(true()).select_from(artist).where(artist.id == any_(rows.artists), *conditions)
    return or_(finds(now), finds(then))


def finds(rows: Select[Any]) -> ColumnElement[bool]:
    """Make the condition that there is a row, of a statement that selects true.

    EXISTS may be planned as a join with a whole table; this is looked up for each row.
    """
    return func.coalesce(rows.limit(1).scalar_subquery(), false())


def name_of(artist: Any, *, changes: bool) -> ColumnElement[str]:
    """Select the folded name that an artist had at the start of a reading."""
    name: ColumnElement[str] = artist.folded_name
    if not changes:
        return name
    former = aliased(FormerArtist)
    first = (
        select(former.folded_name)
        .where(former.artist_id == artist.id, former.id > LAST_FORMER_ARTIST)
        .order_by(former.id)
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(first, name)
