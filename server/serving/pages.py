"""Cuts a page out of a list: by offset, or from a place of a reading on. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from server.catalog import isolation, selection
from server.catalog.isolation import LeftOut
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.reading import (
    DEFAULT_LIMIT,
    Order,
    Page,
    Place,
    Position,
    count_upcoming,
    facts_of,
    follows_rank,
    order_of,
    place_of,
    prefix_is_whole,
    rank,
)
from server.catalog.selection import ListedArtist
from server.catalog.snapshot import AlbumEntry, Snapshot
from server.serving import json_body
from server.serving.json_body import Item

ALL_CREDITS = ""  # instead of an artist's id: all artists of the release have come


class BeyondMemory(Exception):
    """A page is not in memory, or not all of it; `short` is whether its beginning is."""

    def __init__(self, *, short: bool = False) -> None:
        super().__init__()
        self.short = short


@dataclass(frozen=True, slots=True)
class Start:
    """Where a page of a reading begins, and the page if it has been read from the database.

    `position` is None for the first page. With `short` a page may end where memory does.
    """

    position: Position | None = None
    page: Page | None = None
    short: bool = False


FROM_MEMORY = Start()
MakeCursor = Callable[[ReleaseQuery, Position], str]


class Listed(NamedTuple):
    """The items of a page, the paths of its neighbours, and how many items the whole list has."""

    items: Sequence[Item]
    following: str | None
    preceding: str | None
    total: int | None


Listing = tuple[Listed, tuple[LeftOut, ...]]  # a page, and what could not be listed


def select(
    snapshot: Snapshot,
    query: ReleaseQuery,
    today: date,
    start: Start = FROM_MEMORY,
    cursor: MakeCursor | None = None,
) -> Listing:
    """Return the page that a query selects, and what could not be selected.

    `today` is the day in the zone of the query. `cursor` makes cursors, without which pages are
    linked by offset; `start` is where a page of everything begins, and the page if it has been
    read. Raises BeyondMemory if such a page is not in the snapshot.
    """
    position = start.position
    day = today if position is None else position.day
    page, total = start.page, None
    left_out: tuple[LeftOut, ...] = ()
    if page is None:
        if position is not None:
            _check_reach(snapshot, query, today, position)
        whole = query.model_copy(update={"limit": query.usual}) if query.leads_on else query
        found, left_out = isolation.build_together(
            snapshot.albums, lambda part: json_body.select_items(snapshot.only(part), whole, day)
        )
        if query.leads_on:
            after = cursor and _after_usual(found, snapshot, whole, day)
            following = cursor and after and query.after(cursor(query, after)).href
            return Listed(found[: query.usual], following or None, None, len(found)), left_out
        begins = snapshot.baseline is not None or position is not None
        if cursor is None or not begins or not query.reads_everything:
            end = None if query.limit is None else query.start + query.limit
            around = neighbours(query, len(found))
            return Listed(found[query.start : end], *around, len(found)), left_out
        page = cut(found, snapshot, query, today, start)
        total = len(found) if snapshot.whole else None
        if position is None and snapshot.baseline is not None:
            position = Position(snapshot.baseline, today)
    following = None
    if page.end is not None and cursor is not None and position is not None:
        after = position._replace(place=page.end)
        following = query.after(cursor(query, after)).href
    return Listed(page.items, following, None, total), left_out


def _after_usual(
    listed: Sequence[Item], snapshot: Snapshot, query: ReleaseQuery, today: date
) -> Position | None:
    """Return where a feed goes on after its first page, which memory makes; None at its end.

    None also where memory does not tell: in other orders than latest first. Of a work whose
    versions are left out, a further page may have another one, but none is missing.
    """
    if snapshot.baseline is None:
        return None
    others = tuple(each for each in query.exclude if each != "versions")
    unfolded = query.model_copy(update={"exclude": others})
    try:
        page = cut(listed, snapshot, unfolded, today, Start(short=True))
    except BeyondMemory:
        return None
    return None if page.end is None else Position(snapshot.baseline, today, page.end)


def neighbours(query: ReleaseQuery, total: int) -> tuple[str | None, str | None]:
    """Return the paths of the next and the previous page, if any; pages never overlap."""
    if query.limit is None:
        return None, None
    end, start = query.start + query.limit, min(query.start, total)
    following = query.page(end, query.limit).href if end < total else None
    if not start:
        return following, None
    size = min(query.limit, start)
    return following, query.page(start - size, size).href


def size_of(query: ReleaseQuery) -> int:
    """Return how many items a page of a reading has at most."""
    return query.limit or DEFAULT_LIMIT


def cut(
    listed: Sequence[Item], snapshot: Snapshot, query: ReleaseQuery, today: date, start: Start
) -> Page:
    """Cut a page of a reading out of all that a snapshot has of it.

    Raises BeyondMemory if the database may have more, or the snapshot is not that of the reading.
    """
    position = start.position
    last = _last_held(snapshot, query, today)
    order, size = order_of(query), size_of(query)
    first = 0 if position is None else _index_after(listed, query, order, position.place)
    items = listed[first : first + size]
    if len(listed) > first + size:
        return Page(items, _place(items[-1], query, order))
    if last is None:
        return Page(items, None)
    if len(items) < size and not start.short:
        raise BeyondMemory(short=position is None)
    place = place_of(order, facts_of(last), query.zone)
    return Page(items, (*place, ALL_CREDITS) if isinstance(query, ArtistsQuery) else place)


def _check_reach(snapshot: Snapshot, query: ReleaseQuery, today: date, position: Position) -> None:
    """Raise BeyondMemory if a snapshot cannot have the page at a position, without selecting it."""
    if (position.baseline, position.day) != (snapshot.baseline, today):
        raise BeyondMemory
    last = _last_held(snapshot, query, today)
    if last is not None and position.place is not None:
        order = order_of(query)
        end = rank(order, place_of(order, facts_of(last), query.zone))
        if _key(order, position.place) >= end:
            raise BeyondMemory


def _last_held(snapshot: Snapshot, query: ReleaseQuery, today: date) -> AlbumEntry | None:
    """Return the release down to which a snapshot has the whole list.

    None if it has all to the end. Raises BeyondMemory if it lacks even the start.
    """
    if snapshot.whole:
        return None
    upcoming = 0
    if query.upcoming == "include":
        upcoming = count_upcoming([each.release_date for each in snapshot.albums], today)
    depth = 0 if snapshot.depth is None else snapshot.depth.overall
    if not prefix_is_whole(query, upcoming, depth):
        raise BeyondMemory
    last = selection.last_covered(snapshot, query, today)
    if last is None:
        raise BeyondMemory
    return last


def _index_after(
    listed: Sequence[Item], query: ReleaseQuery, order: Order, start: Place | None
) -> int:
    """Return the index of the first item after a place."""
    if start is None:
        return 0
    places = [_place(each, query, order) for each in listed]
    if start in places:
        return places.index(start) + 1
    downward, key = follows_rank(order, query.sort), _key(order, start)
    for index, place in enumerate(places):
        other = _key(order, place)
        if other > key if downward else other < key:
            return index
    return len(listed)


def _key(order: Order, place: Place) -> tuple[Any, ...]:
    """Return the rank of a place, for an artist that of the release."""
    return rank(order, place)[: {"released": 4, "seen": 3, "shown": 5, "name": 2}[order]]


def _place(item: Item, query: ReleaseQuery, order: Order) -> Place:
    if isinstance(item, AlbumEntry):
        return place_of(order, facts_of(item), query.zone)
    return _place_of_artist(item, query, order)


def _place_of_artist(item: ListedArtist, query: ReleaseQuery, order: Order) -> Place:
    if order == "name":
        return selection.artist_place(item)
    first = item.first or item.albums[0]
    return *place_of(order, facts_of(first), query.zone), item.spotify_id
