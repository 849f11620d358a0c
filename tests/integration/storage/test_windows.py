"""What a list shows is what the whole table would give, as far as memory is whole.

The reference here knows every release of the table and none of the server's windows.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import true
from sqlalchemy.orm import Session

from server.catalog import query, selection, versions
from server.catalog.query import AlbumsQuery, ArtistsQuery
from server.catalog.snapshot import AlbumEntry, Depth, Snapshot
from server.database.executor import Database
from server.serving import payload
from server.storage import snapshots, sweeps
from tests.support.databases import NewDatabase
from tests.support.examples import album, artist, spotify_id, sweep

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
SYNCS, EACH = 8, 24
DAYS = [date(2026, 11, day) for day in (5, 14, 30)]
DEPTHS = [Depth(4, 4), Depth(20, 5), Depth(40, 25), Depth(500, 300)]
TYPES = ["album", "album", "single", "single", "single", "ep", "compilation", "mixtape", None]
TITLES = ["Tides", "Tides (Deluxe)", "Tides [Explicit]", "Rain", "Ólafur"]
DATES = [
    *[f"2026-11-{day:02}" for day in range(1, 31)],
    *["2026-11", "2026", "2026-12", "2027", "2026-12-24", "9999-12-31", "2026-13"],
    *["2026-10-30", "2025-12-31", "2019-01-01", "0000", None],
]


def made_up(die: random.Random, number: int) -> dict[str, Any]:
    return album(
        number,
        name=die.choice(TITLES),
        artists=[artist(n) for n in die.sample(range(12), die.choice([1, 1, 2]))],
        album_type=die.choice(TYPES),
        total_tracks=die.choice([1, 5, 9]),
        release_date=die.choice(DATES),
        available_markets=die.choice([None, ["DE"], ["DE", "US"]]),
    )


class Table:
    """A whole table, and snapshots of it."""

    def __init__(self, database: Database) -> None:
        die, self._database = random.Random(7), database
        for number in range(SYNCS):
            at = START + timedelta(days=number)
            first = number * EACH
            items = [made_up(die, n) for n in die.sample(range(first, first + EACH), EACH)]
            with Session(database.engine) as session, session.begin():
                sweeps.record_sweep(session, sweep(items), at, partial(lambda now: now, at))
        with Session(database.engine) as session:
            self.all = list(snapshots.read_entries(session, true()))
        self.snapshot = cache(self._read)
        self.portion = cache(partial(self._run, snapshots.load_portion))
        self.of_artists = cache(partial(self._run, snapshots.load_of_artists))

    def _run(self, load: Callable[..., Snapshot], *arguments: Any) -> Snapshot:
        with Session(self._database.engine) as session:
            return load(session, *arguments)

    def _read(self, today: date, depth: Depth) -> Snapshot:
        with Session(self._database.engine) as session:
            return snapshots.load(session, today, depth)


@pytest.fixture(scope="module")
def table(new_database: NewDatabase, migrated: str) -> Iterator[Table]:
    with new_database(migrated) as url:
        database = Database(url)
        database.connect()
        yield Table(database)
        database.close()


def asked(wanted: str) -> AlbumsQuery:
    return query.parse(AlbumsQuery, wanted)


def is_upcoming(entry: AlbumEntry, today: date) -> bool:
    text = entry.release_date or ""
    return text > today.isoformat()[: len(text)]


def first_shown(entry: AlbumEntry, where: tzinfo) -> datetime:
    """When it is known and out. A month that no year has comes after all that are in it."""
    text = entry.release_date or "0000"
    if text == "2026-13":
        begins = datetime(2026, 12, 31, 23, 59, tzinfo=where)
    elif text == "0000":
        begins = datetime.min.replace(tzinfo=UTC)
    else:
        begins = datetime.fromisoformat(text + "-01-01"[len(text) - 4 :]).replace(tzinfo=where)
    return max(entry.created_at, begins)


def descending(entries: list[AlbumEntry], read: Any) -> list[AlbumEntry]:
    """The order that a query draws on; `entries` are newest first."""
    if not read.sort.endswith("seen"):
        return entries
    listed = sorted(entries, key=lambda each: (each.position, each.spotify_id))
    listed.sort(key=lambda each: each.created_at, reverse=True)
    if read.upcoming == "exclude":
        listed.sort(key=lambda each: first_shown(each, read.zone), reverse=True)
    return listed


def kind_of(entry: AlbumEntry) -> str | None:
    if entry.album_type != "single":
        return entry.album_type
    return {1: "single", 5: "ep", 9: "album"}[orjson.loads(entry.json)["total_tracks"]]


def types_of(read: Any) -> set[str | None]:
    """The types that releases of the kinds may have that are wanted; Spotify calls most singles."""
    types = set(read.type or TYPES)
    if read.kind:
        types &= {*read.kind, *({"single"} if {"ep", "album"} & set(read.kind) else ())}
    return types


def passes(entry: AlbumEntry, read: Any, today: date) -> bool:
    if read.upcoming != "include" and is_upcoming(entry, today) != (read.upcoming == "only"):
        return False
    if read.market and entry.markets is not None and read.market not in entry.markets:
        return False
    if read.kind and kind_of(entry) not in read.kind:
        return False
    dated, after = entry.release_date or "0", read.released_after or ""
    if dated[: len(after)] < after[: len(dated)]:
        return False
    if read.artist and not {one.spotify_id for one in entry.artists} & set(read.artist):
        return False
    if read.days:
        first = str(today - timedelta(days=read.days - 1))
        if dated < first[: len(dated)]:
            return False
    return not read.q or read.q in entry.text


def promised(
    entries: list[AlbumEntry], order: list[AlbumEntry], read: Any, today: date, depth: Depth
) -> list[AlbumEntry]:
    """Down to so many that are out, of all types or of those wanted, whichever reaches further."""

    def last(places: list[AlbumEntry], count: int) -> set[int]:
        out = [each for each in places if not is_upcoming(each, today)]
        end = places.index(out[count - 1]) + 1 if len(out) >= count else len(places)
        return {id(each) for each in places[:end]}

    kept = last(descending(entries, read), depth.overall)
    if read.type or read.kind:
        kept |= last(order, depth.of_type)
    return [each for each in order if id(each) in kept]


def expected(entries: list[AlbumEntry], read: Any, today: date, depth: Depth) -> list[AlbumEntry]:
    """The answer by the whole table; beyond `depth` nothing is promised, so the list ends."""
    typed = [each for each in entries if each.album_type in types_of(read)]
    upcoming = [each for each in entries if is_upcoming(each, today)]
    nearest = [id(each) for each in upcoming[-depth.overall :]]
    known = [each for each in typed if not is_upcoming(each, today) or id(each) in nearest]
    order = descending(known, read)
    if read.upcoming != "only":
        order = promised(entries, order, read, today, depth)
    kept = {id(each) for each in order if passes(each, read, today)}
    newest_first = [each for each in entries if id(each) in kept]
    if "versions" in read.exclude:
        newest_first = versions.fold(newest_first)
    listed = newest_first
    if read.sort.endswith("seen"):
        listed = [each for each in order if each in newest_first]
    if read.sort.endswith("name"):
        listed = sorted(listed, key=lambda each: (each.text.partition("\n")[0], each.spotify_id))
        listed = listed[::-1]
    if not read.sort.startswith("-"):
        listed = listed[::-1]
    bound = read.release_limit
    if bound is None and read.limit is None and read.offset is None:
        bound = 20
    return listed[:bound]


ARTISTS = st.lists(
    st.integers(0, 12).map(lambda number: spotify_id("artist", number)), min_size=1, max_size=4
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["album", "single", "ep", "ep,single", "album,compilation,single"]),
        "kind": st.sampled_from(["album", "single", "ep", "ep,compilation", "single,album"]),
        "upcoming": st.sampled_from(["include", "only", "exclude"]),
        "exclude": st.just("versions"),
        "market": st.sampled_from(["DE", "US"]),
        "q": st.sampled_from(["tides", "artist 3", "olaf"]),
        "artist": ARTISTS.map(",".join),
        "days": st.sampled_from(["1", "7", "30", "90"]),
        "released_after": st.sampled_from(["2026", "2026-11", "2026-11-10"]),
        "sort": st.sampled_from(["released", "-released", "seen", "-seen", "name", "-name"]),
        "release_limit": st.integers(1, 60).map(str),
        "limit": st.integers(1, 9).map(str),
    },
).map(lambda wanted: "&".join(f"{name}={value}" for name, value in wanted.items()))


@settings(max_examples=200)
@given(QUERIES, st.sampled_from(DAYS), st.sampled_from(DEPTHS))
@example("upcoming=include&type=single&sort=-seen", DAYS[1], Depth(20, 5))
def test_every_list_is_what_the_whole_table_gives(
    table: Table, wanted: str, today: date, depth: Depth
) -> None:
    read = asked(wanted)
    snapshot = table.snapshot(today, depth)
    listed = [each.spotify_id for each in selection.albums(snapshot, read, today)]
    whole = expected(table.all, read, today, depth)
    assert listed == [each.spotify_id for each in whole]
    if read.sort.startswith("-") and not read.sort.endswith("name") and not read.exclude:
        without_end = expected(table.all, read, today, Depth(1000, 1000))
        if (read.upcoming == "exclude" and not read.kind) or depth.overall > len(table.all):
            assert whole == without_end[: len(whole)], "nothing is missing between"


ZONES = st.sampled_from(["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12"])


@settings(max_examples=75)
@given(QUERIES, ZONES, st.sampled_from(DAYS), st.sampled_from(DEPTHS), st.integers(-1, 1))
def test_in_a_zone_a_list_is_what_the_whole_table_gives_as_far_as_it_reaches(
    table: Table, wanted: str, place: str, today: date, depth: Depth, ahead: int
) -> None:
    """The snapshot is of the day in UTC, which may be another one.

    What is out in the zone already is held as upcoming, so there must not be more than that.
    """
    assume(ahead < 1 or sum(each.release_date == str(today) for each in table.all) <= depth.overall)
    read = asked(f"{wanted}&tz={quote(place)}".removeprefix("&"))
    snapshot = table.snapshot(today - timedelta(days=ahead), depth)
    listed = [each.spotify_id for each in selection.albums(snapshot, read, today)]
    whole = [each.spotify_id for each in expected(table.all, read, today, Depth(1000, 1000))]
    if depth.overall > len(table.all):
        assert listed == whole
    elif read.upcoming == "exclude" and read.sort in ("-released", "-seen") and not read.exclude:
        assert listed == whole[: len(listed)]


@settings(max_examples=75)
@given(QUERIES, ARTISTS, st.sampled_from(DAYS))
def test_of_artists_that_are_asked_for_everything_is_listed(
    table: Table, wanted: str, artists: list[str], today: date
) -> None:
    read = asked(wanted).model_copy(update={"artist": tuple(sorted(set(artists)))})
    portion = read.portion
    assert portion is not None
    snapshot = table.portion(portion, today)
    listed = [each.spotify_id for each in selection.albums(snapshot, read, today)]
    whole = expected(table.all, read, today, Depth(1000, 1000))
    assert listed == [each.spotify_id for each in whole]


@settings(max_examples=50)
@given(QUERIES, ARTISTS, st.sampled_from(DAYS), st.sampled_from(DEPTHS))
def test_of_artists_with_many_releases_as_much_is_read_as_of_all(
    table: Table, wanted: str, artists: list[str], today: date, depth: Depth
) -> None:
    read = asked(wanted).model_copy(update={"artist": tuple(sorted(set(artists)))})
    snapshot = table.of_artists(read.artist, today, depth)
    theirs = [each for each in table.all if {one.spotify_id for one in each.artists} & set(artists)]
    assert {each.spotify_id for each in snapshot.albums} <= {each.spotify_id for each in theirs}
    listed = [each.spotify_id for each in selection.albums(snapshot, read, today)]
    assert listed == [each.spotify_id for each in expected(theirs, read, today, depth)]


@settings(max_examples=100)
@given(QUERIES, st.sampled_from(DAYS), st.sampled_from(DEPTHS))
def test_artists_are_those_of_the_same_releases_each_with_its_own_newest_first(
    table: Table, wanted: str, today: date, depth: Depth
) -> None:
    read = query.parse(ArtistsQuery, wanted)
    window = expected(table.all, read, today, depth)
    listed = selection.artists(table.snapshot(today, depth), read, today)
    places = {each.spotify_id: place for place, each in enumerate(table.all)}
    if read.artist:
        assert {each.spotify_id for each in listed} <= set(read.artist)
    for each in listed:
        own = [one.spotify_id for one in window if each.artist in one.artists]
        dates = [one.release_date or "" for one in each.albums]
        assert sorted(one.spotify_id for one in each.albums) == sorted(own)
        assert dates == sorted(dates, reverse=True)
        if "versions" not in read.exclude:
            found = [places[one.spotify_id] for one in each.albums]
            assert found == sorted(found)
    order = window if read.sort.startswith("-") else window[::-1]
    by_release = list(dict.fromkeys(one.spotify_id for each in order for one in each.artists))
    by_release = [each for each in by_release if not read.artist or each in read.artist]
    ids = [each.artist.spotify_id for each in listed]
    if read.sort.endswith("name"):
        assert set(ids) == set(by_release)
        names = [each.artist.name for each in listed]
        assert names == sorted(names, reverse=read.sort == "-name")
    else:
        assert ids == (by_release if read.sort.startswith("-") else by_release[::-1])


@settings(max_examples=100)
@given(QUERIES, st.sampled_from(DEPTHS), st.integers(1, 40))
def test_pages_visit_each_release_in_memory_exactly_once(
    table: Table, wanted: str, depth: Depth, limit: int
) -> None:
    today, snapshot = DAYS[1], table.snapshot(DAYS[1], depth)
    first = asked(wanted).model_copy(update={"limit": limit})
    whole = [each.spotify_id for each in expected(table.all, first, today, depth)]
    visited, href = [], first.href
    while href:
        read = asked(href.partition("?")[2])
        built = payload.build(snapshot, read, today=today, stale=False, max_age=15)
        page = orjson.loads(built.body)
        assert page["total"] == len(whole)
        visited += [each["spotify_id"] for each in page["items"]]
        href = page["next"]
    assert visited == whole


def test_what_is_upcoming_takes_the_place_of_nothing_that_is_out(table: Table) -> None:
    today = date(2026, 11, 2)
    snapshot = table.snapshot(today, Depth(10, 10))
    assert sum(is_upcoming(each, today) for each in table.all) > 100
    assert len(selection.albums(snapshot, asked("limit=100"), today)) == 10
    assert len(selection.albums(snapshot, asked("limit=100&sort=-seen"), today)) == 10
    assert len(selection.albums(snapshot, asked("limit=100&upcoming=only"), today)) == 10


def test_when_the_day_changes_a_snapshot_read_before_gives_what_a_new_one_gives(
    table: Table,
) -> None:
    for today, depth in ((DAYS[0], Depth(200, 200)), (DAYS[1], Depth(150, 50))):
        tomorrow = today + timedelta(days=1)
        old, new = table.snapshot(today, depth), table.snapshot(tomorrow, depth)
        for wanted in ("limit=500", "sort=-seen", "upcoming=only&limit=500", "type=ep&sort=-seen"):
            read = asked(wanted)
            ids = [each.spotify_id for each in selection.albums(new, read, tomorrow)]
            assert [each.spotify_id for each in selection.albums(old, read, tomorrow)] == ids
