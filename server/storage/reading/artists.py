"""Pages of artists: each comes once, at the place of its first release that matches, or by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Text,
    any_,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from models import AlbumArtist, Artist
from server.catalog.reading import Order, Page, Place, follows_rank, moment_of, order_of
from server.storage.reading import listed_artists, names, prepared
from server.storage.reading.candidates import (
    RARE,
    TRIED,
    artists_of,
    few_of,
    read_some,
    search,
)
from server.storage.reading.filters import Filters, Wanted, follows, of_artist
from server.storage.reading.orders import Walk, day_of
from server.storage.reading.prepared import SHAPES, Prepared, prepare
from server.storage.reading.sources import Rows
from server.storage.reading.walks import Step

MOST_WALKED = 1000  # releases whose artists one page looks at
TYPES: dict[str, Any] = {
    "day": Text(collation="C"),
    "created_at": DateTime(timezone=True),
    "spotify_id": Text(),
}
PLACES: dict[Order, tuple[str, ...]] = {  # names of the values of a place
    "released": ("day", "created_at", "position", "spotify_id"),
    "seen": ("created_at", "position", "spotify_id"),
    "shown": ("day", "flag", "created_at", "position", "spotify_id"),
}
ALL_CREDITS = ""  # instead of an artist's id: the page before ended with all artists of its release


@dataclass(frozen=True)
class Credit:
    """An artist of a release in a walk; `id` is ours."""

    step: Step
    id: int
    spotify_id: str

    @property
    def place(self) -> Place:
        """Its place among artists."""
        return *self.step.place, self.spotify_id


def read(session: Session, wanted: Wanted, start: Place | None, limit: int) -> Page:
    """Read the artists that come next after a place, each with its newest releases that match."""
    query = wanted.query
    order = order_of(query)
    downward = follows_rank(order, query.sort)
    if order == "name":
        found, end = _by_name(session, wanted, start, limit, downward=downward)
        return Page(listed_artists.read(session, wanted, list(found)), end)
    album, artist = (None, ALL_CREDITS) if start is None else (start[:-1], str(start[-1]))
    walk = Walk(order, downward, query.zone, query.tz, album, inclusive=artist != ALL_CREDITS)
    few = few_of(session, wanted, order)
    new: list[Credit] = []
    looked, count = 0, 2 * limit if downward else MOST_WALKED  # upward most artists come much later
    while True:
        stretch = read_some(session, wanted, walk, count, few)
        walked = _credits_after(session, wanted, walk, stretch.steps, artist)
        new += _first_ones(session, wanted, walk, walked)
        end = None if stretch.end is None else (*stretch.end, ALL_CREDITS)
        looked += len(stretch.steps)
        is_short = len(stretch.steps) < count or looked >= MOST_WALKED
        if end is None or is_short or len(new) >= limit:
            break
        walk, artist = replace(walk, start=stretch.end, inclusive=False), ALL_CREDITS
        likely = 2 * (limit - len(new)) * looked // (len(new) + 1) + 1  # to have the others
        count = min(likely, MOST_WALKED - looked)
    if len(new) > limit:
        new = new[:limit]
        end = new[-1].place
    placed = {each.id: each.step.id for each in new}
    return Page(listed_artists.read(session, wanted, list(placed), placed), end)


def _by_name(
    session: Session, wanted: Wanted, start: Place | None, limit: int, *, downward: bool
) -> tuple[dict[int, str], Place | None]:
    """Read the artists that come next by name; see `candidates.read_some`."""
    few = few_of(session, wanted, "name")
    read = partial(names.read, session, wanted, start, limit, downward=downward)
    if few is not None:
        return read(artists_of(session, wanted, few))
    if "coded" in wanted.filters.used:
        found, end = read(examined=TRIED)
        if end is None or len(found) == limit:
            return found, end
        if len(found) < RARE and (few := search(session, wanted)) is not None:
            return read(artists_of(session, wanted, few))
    return read()


def _credits_after(
    session: Session, wanted: Wanted, walk: Walk, steps: Sequence[Step], artist: str
) -> list[Credit]:
    """Return the listed artists of releases, in order, after an artist of the first one."""
    walked: list[Credit] = []
    for step, theirs in zip(steps, _credits(session, steps), strict=True):
        listed = [each for each in theirs if _is_listed(each, wanted)]
        if not walk.downward:
            listed.reverse()
        if step.place == walk.start:
            ids = [each.spotify_id for each in listed]
            listed = listed[ids.index(artist) + 1 :] if artist in ids else []
        walked += listed
    return walked


def _is_listed(credit: Credit, wanted: Wanted) -> bool:
    chosen, among = wanted.query.artist, wanted.among
    if chosen and credit.spotify_id not in chosen:
        return False
    return among is None or credit.spotify_id in among


def _credits(session: Session, steps: Sequence[Step]) -> list[list[Credit]]:
    """Return the artists of each step, in the order of the credits."""
    former = {artist for step in steps for artist in step.artists or ()}
    kept = [step.id for step in steps if step.artists is None]
    present_ones: dict[int, list[tuple[int, str]]] = {}
    for row in _read_credits().run(session, {"albums": kept}):
        present_ones.setdefault(row.album_id, []).append((row.id, row.spotify_id))
    known = {}
    if former:
        known = {row.id: row.spotify_id for row in _read_ids().run(session, {"artists": [*former]})}
    found = []
    for step in steps:
        theirs = present_ones.get(step.id, [])
        if step.artists is not None:
            theirs = [(each, known[each]) for each in step.artists if each in known]
        found.append([Credit(step, *each) for each in theirs])
    return found


@cache
def _read_credits() -> Prepared:
    return prepare(
        select(AlbumArtist.album_id, Artist.id, Artist.spotify_id)
        .join(Artist, Artist.id == AlbumArtist.artist_id)
        .where(AlbumArtist.album_id == any_(prepared.ids("albums")))
        .order_by(AlbumArtist.album_id, AlbumArtist.position)
    )


@cache
def _read_ids() -> Prepared:
    listed = Artist.id == any_(prepared.ids("artists"))
    return prepare(select(Artist.id, Artist.spotify_id).where(listed))


def _first_ones(session: Session, wanted: Wanted, walk: Walk, walked: list[Credit]) -> list[Credit]:
    """Keep the credits of artists of whom no release that matches comes earlier, latest first."""
    if walk.downward:
        first: dict[int, Credit] = {}
        for each in walked:
            first.setdefault(each.id, each)
        walked = list(first.values())
    if not walked or (walk.downward and walk.start is None):
        return walked  # nothing comes before the first page
    rows = [
        {"number": number, "artist": each.id, **_values(walk.order, each.step.place)}
        for number, each in enumerate(walked)
    ]
    statement = _passed(wanted.filters, walk.order)
    values = {**wanted.values, "zone": walk.zone, "credits": orjson.dumps(rows).decode()}
    passed = {row.number for row in statement.run(session, values)}
    return [each for number, each in enumerate(walked) if number not in passed]


def _values(order: Order, place: Place) -> dict[str, Any]:
    """Name the values of a place."""
    values = dict(zip(PLACES[order], place, strict=True))
    return values | {"created_at": moment_of(int(values["created_at"])).isoformat()}


@lru_cache(SHAPES)
def _passed(filters: Filters, order: Order) -> Prepared:
    """Make the statement that selects those of `credits` whose artists have come earlier."""
    names = "number", "artist", *PLACES[order]
    these = (
        func.jsonb_to_recordset(cast(prepared.words("credits"), JSONB))
        .table_valued(*(column(name, TYPES.get(name, BigInteger())) for name in names))
        .render_derived(with_types=True)
    )

    def earlier(rows: Rows) -> ColumnElement[bool]:
        return _is_earlier(order, rows, these.c)

    return prepare(select(these.c.number).where(of_artist(filters, these.c.artist, earlier)))


def _is_earlier(order: Order, rows: Rows, these: Rows) -> ColumnElement[bool]:
    dated = func.coalesce(rows.release_date, "")
    compared = [
        (rows.created_at, these.created_at, True),
        (rows.position, these.position, False),
        (rows.spotify_id, these.spotify_id, False),
    ]
    if order == "released":
        compared.insert(0, (dated, these.day, True))
    if order == "shown":
        seen = day_of(rows.created_at)
        compared.insert(0, (dated <= seen, these.flag == 1, True))
        compared.insert(0, (func.greatest(dated, seen), these.day, True))
    return follows(compared, before=True)
