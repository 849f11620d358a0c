"""Walks through artists by their names; of whom each has a release that matches."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    any_,
    exists,
    func,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from models import Artist, FormerArtist
from models.album import NAME_LENGTH
from server.catalog.reading import Place
from server.storage.reading import prepared
from server.storage.reading.filters import Filters, Wanted, of_artist
from server.storage.reading.prepared import SHAPES, Prepared, prepare
from server.storage.reading.sources import LAST_FORMER_ARTIST

EXAMINED = 1000  # artists that a page may look at


def read(
    session: Session,
    wanted: Wanted,
    start: Place | None,
    limit: int,
    few: Sequence[int] | None = None,
    examined: int | None = None,
    *,
    downward: bool,
) -> tuple[dict[int, str], Place | None]:
    """Read the next artists who have a release that matches: Spotify's ids by ours, in order.

    Also returns the place that was reached, None at the end. `few` are our ids of all who may have
    one, if they are known.
    """
    shape = wanted.filters, start is not None, downward, few is not None
    name, spotify_id = start or (None, None)
    values = {**wanted.values, "start_name": name, "start_spotify_id": spotify_id}
    values |= {"count": limit + 1, "few": few}
    values["examined"] = EXAMINED if examined is None else examined
    rows = _matching(*shape).run(session, values).all()
    found = {row.id: row.spotify_id for row in rows[:limit]}
    if len(rows) > limit:
        return found, (rows[limit - 1].name, rows[limit - 1].spotify_id)
    last = _last_examined(*shape).run(session, values).one_or_none()
    return found, None if last is None else (last.name, last.spotify_id)


@lru_cache(SHAPES)
def _matching(filters: Filters, is_started: bool, downward: bool, is_few: bool) -> Prepared:
    """Make the statement that reads the next artists who have a release that matches."""
    next_ones = _next_ones(filters, is_started=is_started, downward=downward, is_few=is_few)
    looked = next_ones.limit(prepared.number("examined")).subquery()
    matching = select(looked).where(of_artist(filters, looked.c.id, lambda _album: true()))
    ordered = matching.order_by(*_ordered(looked.c, downward=downward))
    return prepare(ordered.limit(prepared.number("count")))


@lru_cache(SHAPES)
def _last_examined(filters: Filters, is_started: bool, downward: bool, is_few: bool) -> Prepared:
    """Make the statement that reads the last artist looked at, if there were as many."""
    next_ones = _next_ones(filters, is_started=is_started, downward=downward, is_few=is_few)
    return prepare(next_ones.offset(prepared.number("examined") - 1).limit(1))


def _next_ones(filters: Filters, *, is_started: bool, downward: bool, is_few: bool) -> Select[Any]:
    """Select artists after a place, by the names that they had at the start of the reading."""
    parts = []
    for each in _sources(changes=filters.changes):
        part = each.subquery()
        statement: Select[Any] = select(part)
        if is_started:
            key = tuple_(part.c.name, part.c.spotify_id)
            after = tuple_(prepared.words("start_name"), prepared.words("start_spotify_id"))
            statement = statement.where(key > after if downward else key < after)
        if is_few:
            statement = statement.where(part.c.id == any_(prepared.ids("few")))
        for name in ("chosen", "among"):
            if name in filters.used:
                statement = statement.where(part.c.spotify_id == any_(prepared.texts(name)))
        ordered = statement.order_by(*_ordered(part.c, downward=downward))
        parts.append(select(ordered.limit(prepared.number("examined")).subquery()))
    both = union_all(*parts).subquery()
    columns: tuple[Any, ...] = tuple(both.c)
    return select(*columns).order_by(*_ordered(both.c, downward=downward))


def _ordered(rows: Any, *, downward: bool) -> list[ColumnElement[Any]]:
    return [each.asc() if downward else each.desc() for each in (rows.name, rows.spotify_id)]


def _sources(*, changes: bool) -> list[Select[Any]]:
    """Select the artists by the names they have, and those renamed by the names they had."""
    artist, former = aliased(Artist), aliased(FormerArtist)
    columns: tuple[Any, ...] = artist.id, artist.spotify_id, _cut(artist.folded_name)
    if not changes:
        return [select(*columns)]
    renamed = exists().where(former.artist_id == artist.id, former.id > LAST_FORMER_ARTIST)
    return [select(*columns).where(~renamed), _renamed()]


def _renamed() -> Select[Any]:
    artist, former, earlier = aliased(Artist), aliased(FormerArtist), aliased(FormerArtist)
    again = exists().where(
        earlier.artist_id == former.artist_id,
        earlier.id > LAST_FORMER_ARTIST,
        earlier.id < former.id,
    )
    columns: tuple[Any, ...] = artist.id, artist.spotify_id, _cut(former.folded_name)
    return (
        select(*columns)
        .join(artist, artist.id == former.artist_id)
        .where(former.id > LAST_FORMER_ARTIST, ~again)
    )


def _cut(name: Any) -> ColumnElement[str]:
    return func.left(name, literal_column(str(NAME_LENGTH))).label("name")
