"""A reading shows what was kept when it began, each release once, whatever syncs do meanwhile."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, select, text, true
from sqlalchemy.orm import Session

from models import Album, FormerAlbum
from models.album import NAME_LENGTH
from server.catalog import query, reading, selection, snapshot
from server.catalog.query import AlbumsQuery, ArtistsQuery, ReleaseQuery
from server.catalog.reading import Found, Position
from server.catalog.snapshot import Freshness, Snapshot
from server.database.executor import Database
from server.storage import snapshots, sweeps
from server.storage.reading import candidates, former, names, pages, walks
from tests.support.databases import NewDatabase
from tests.support.examples import album, artist, spotify_id, sweep

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
TODAY = date(2026, 11, 14)
COUNT = 60
TYPES = ["album", "album", "single", "single", "single", "ep", "compilation", "mixtape", None]
TITLES = ["Tides", "Tides (Deluxe)", "Tides [Explicit]", "Rain EP", "Ólafur", "100% _"]
ODD_TITLES = ["夜に駆ける", r"back\slash \345", "ПРИВЕТ мир", "a b"]
SLEEP = text("SELECT pg_sleep(5)")
SEARCHES = [
    "tides",
    "artist 3",
    "olaf",
    "% _",
    "renamed",
    "100%",
    "夜",
    "に駆",
    "привет",
    "k\\s",
    "s",
    "a b",
]
DATES = [
    *[f"2026-11-{day:02}" for day in range(1, 20)],
    *["2026-11", "2026", "2026-12", "2027", "2026-13", "2026-10-30", "2019-01-01", "0000", None],
]


def made_up(die: random.Random, number: int) -> dict[str, Any]:
    credited = [
        artist(n, name=die.choice([f"Artist {n}", f"Artist {n}", f"Renamed {n}", "Ólafur"]))
        for n in die.sample(range(9), die.choice([1, 1, 2, 3]))
    ]
    return album(
        number,
        name=die.choice(TITLES + ODD_TITLES),
        artists=credited,
        album_type=die.choice(TYPES),
        total_tracks=die.choice([1, 5, 9]),
        release_date=die.choice(DATES),
        available_markets=die.choice([None, ["DE"], ["DE", "US"]]),
    )


class World:
    """A catalogue that changes, and how it is read."""

    def __init__(self, database: Database, seed: int = 7) -> None:
        self.engine, self.die, self.at = database.engine, random.Random(seed), START
        for _ in range(4):
            self.sync(30)

    def sync(self, count: int) -> None:
        self.at += timedelta(hours=self.die.choice([1, 9, 26]))
        chosen = self.die.sample(range(COUNT), count)
        items = [made_up(self.die, number) for number in chosen]
        with Session(self.engine) as session, session.begin():
            sweeps.record_sweep(session, sweep(items), self.at, partial(lambda at: at, self.at))

    def forget(self, count: int) -> set[str]:
        with Session(self.engine) as session, session.begin():
            kept = list(session.scalars(select(Album.spotify_id).order_by(Album.id)))
            gone = {*self.die.sample(kept, count), kept[-1]}  # also the one stored last
            session.execute(delete(Album).where(Album.spotify_id.in_(gone)))
        return gone

    def all(self) -> Snapshot:
        with Session(self.engine) as session:
            entries = snapshots.read_entries(session, true())
        return Snapshot(entries, Freshness(), None, whole=True)

    def page(self, asked: ReleaseQuery, position: Position | None, limit: int) -> Found:
        with Session(self.engine) as session, session.begin():
            found = pages.read_page(session, asked, position, TODAY, limit)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def world(new_database: NewDatabase, migrated: str) -> Iterator[World]:
    with new_database(migrated) as url:
        database = Database(url)
        database.connect()
        yield World(database)
        database.close()


QUERIES = st.fixed_dictionaries(
    {"sort": st.sampled_from(["released", "-released", "seen", "-seen", "name", "-name"])},
    optional={
        "type": st.sampled_from(["album", "single", "ep,single"]),
        "kind": st.sampled_from(["album", "single", "ep,compilation"]),
        "upcoming": st.sampled_from(["include", "only", "exclude"]),
        "exclude": st.sampled_from(["versions", "various_artists"]),
        "market": st.sampled_from(["DE", "US"]),
        "q": st.sampled_from(SEARCHES).map(quote),
        "artist": st.lists(st.integers(0, 9), min_size=1, max_size=3).map(
            lambda numbers: ",".join(spotify_id("artist", number) for number in numbers)
        ),
        "days": st.sampled_from(["1", "7", "30"]),
        "released_after": st.sampled_from(["2026", "2026-11", "2026-11-10"]),
        "released_before": st.sampled_from(["2026", "2026-11", "2026-11-10"]),
        "tz": st.sampled_from(["Asia/Tokyo", "America/New_York", "Etc/GMT+12"]).map(quote),
    },
).map(lambda wanted: "&".join(f"{name}={value}" for name, value in wanted.items()))


def read_all(world: World, asked: ReleaseQuery, limit: int, between: Any = None) -> list[str]:
    position, seen = None, []
    for _ in range(400):
        found = world.page(asked, position, limit)
        assert len(found.page.items) <= limit
        seen += [each.spotify_id for each in found.page.items]
        if found.page.end is None:
            return seen
        position = found.position._replace(place=found.page.end)
        if between is not None:
            between()
    raise AssertionError("it does not end")


LISTS: dict[type[ReleaseQuery], Any] = {
    AlbumsQuery: selection.albums,
    ArtistsQuery: selection.artists,
}


def listed(world: World, asked: ReleaseQuery) -> list[str]:
    """What memory would give if it held everything."""
    return [each.spotify_id for each in LISTS[type(asked)](world.all(), asked, TODAY)]


@settings(max_examples=25)
@given(QUERIES, st.sampled_from([*LISTS]), st.sampled_from([3, 20, 100]))
def test_pages_together_are_the_list_that_memory_would_give(
    world: World, wanted: str, kind: type[ReleaseQuery], limit: int
) -> None:
    asked = query.parse(kind, f"{wanted}&limit={limit}")
    assert read_all(world, asked, limit) == listed(world, asked)


@settings(max_examples=20)
@given(QUERIES, st.sampled_from([*LISTS]), st.sampled_from([7, 25]))
def test_whatever_syncs_do_meanwhile_all_that_was_there_comes_once_and_nothing_else(
    world: World, wanted: str, kind: type[ReleaseQuery], limit: int
) -> None:
    asked = query.parse(kind, f"{wanted}&limit={limit}")
    before = listed(world, asked)
    seen = read_all(world, asked, limit, between=lambda: world.sync(20))
    assert seen == before


@pytest.mark.parametrize("sort", ["-released", "seen", "name"])
def test_what_is_deleted_meanwhile_is_all_that_may_be_missing(world: World, sort: str) -> None:
    asked = query.parse(AlbumsQuery, f"sort={sort}&upcoming=include&limit=7")
    before, gone = listed(world, asked), set[str]()

    def change() -> None:
        gone.update(world.forget(2))
        world.sync(20)  # which may bring some of them back, as new

    seen = read_all(world, asked, 7, between=change)
    assert [each for each in before if each not in gone] == [
        each for each in seen if each not in gone
    ]
    assert len(seen) == len(set(seen))


@settings(max_examples=8)
@given(QUERIES, st.sampled_from([*LISTS]))
def test_a_page_that_looked_at_too_much_is_short_but_the_next_one_goes_on(
    world: World, wanted: str, kind: type[ReleaseQuery]
) -> None:
    asked = query.parse(kind, f"{wanted}&limit=50")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walks, "EXAMINED", 5)
        patch.setattr(names, "EXAMINED", 3)
        patch.setattr(candidates, "FEW", 1)
        assert read_all(world, asked, 50) == listed(world, asked)


def test_a_baseline_that_the_database_never_had_is_refused(world: World) -> None:
    asked = query.parse(AlbumsQuery, "limit=3")
    found = world.page(asked, None, 3)
    ahead = found.position.baseline._replace(albums=10**9)
    with Session(world.engine) as session, session.begin():
        position = found.position._replace(baseline=ahead)
        assert pages.read_page(session, asked, position, TODAY, 3) is None


def test_former_states_are_deleted_once_no_cursor_needs_them(world: World) -> None:
    world.sync(COUNT)
    world.sync(COUNT)
    position = world.page(query.parse(AlbumsQuery, "limit=3"), None, 3).position
    with Session(world.engine) as session, session.begin():
        early = world.at + former.KEPT_FOR - timedelta(hours=1)
        assert former.prune(session, early, 10**6)[0] > 0
        newest = select(func.max(FormerAlbum.changed_at))
        assert session.scalar(newest) == world.at, "the last sync may have readers"
        former.prune(session, world.at + former.KEPT_FOR + timedelta(hours=1), 10**6)
        assert session.scalar(select(func.count()).select_from(FormerAlbum)) == 1
    asked = query.parse(AlbumsQuery, "limit=3")
    assert world.page(asked, position, 3), "readings that began after it go on"
    longest = timedelta(days=reading.VALID_DAYS + 2)  # a day ends later in some zones
    assert longest <= former.KEPT_FOR
    assert NAME_LENGTH == snapshot.NAME_LENGTH, "memory and indexes order alike"


ORDERS = {
    "sort=-released": "latest",
    "sort=released": "latest",
    "sort=-seen&upcoming=include": "seen",
    "sort=-seen": "seen",
    "sort=seen": "announced",
    "sort=-name": "name",
    "sort=-released&kind=compilation": "latest_of_type",
    "sort=-seen&type=ep": "seen_of_type",
    "sort=-released&market=DE&exclude=various_artists": "latest",
    "sort=-released&exclude=versions": "work",
}


def test_a_page_far_down_is_read_along_an_index_whatever_the_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "EXAMINED", 100)  # of a small table it would be most
    with database.engine.begin() as connection:
        connection.execute(text(MANY_ARTISTS))
        connection.execute(text(MANY_ALBUMS))
        connection.execute(
            text("INSERT INTO album_artists SELECT id, 0, id % 3000 + 1 FROM albums")
        )
        connection.execute(text("UPDATE albums SET folded_name = '夜に駆ける' WHERE id = 50"))
        connection.execute(text("UPDATE artists SET folded_name = 'olafur arnalds' WHERE id = 77"))
        connection.execute(text("ANALYZE"))
    asked_of: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked_of.append(args[2:4]))
    for kind in LISTS:
        for wanted, index in ORDERS.items():
            asked, position = query.parse(kind, f"{wanted}&limit=20"), None
            for number in range(3):
                if number == 1:
                    asked_of.clear()
                if number == 2:
                    with database.engine.begin() as connection:
                        connection.execute(text(CHANGED_ALBUM))
                        connection.execute(text(CHANGED_ARTIST))
                with Session(database.engine) as session, session.begin():
                    found = pages.read_page(session, asked, position, TODAY, 20)
                assert found is not None
                assert found.page.end is not None, wanted
                position = found.position._replace(place=found.page.end)
            plans = explained(database, asked_of.copy())
            assert "Seq Scan on albums" not in plans, (wanted, plans)
            assert "Seq Scan on album_artists" not in plans, (wanted, plans)
            if kind is AlbumsQuery:
                assert f"ix_albums_{index} " in plans, (wanted, plans)
            elif index == "name":
                assert "ix_artists_name" in plans
            if wanted.startswith("sort=-n") or wanted in ("sort=-released", "sort=-seen"):
                asked_of.clear()
                _find_a_rare_text(database, kind, wanted)
                plans = explained(database, asked_of.copy())
                assert "Seq Scan on albums" not in plans, (wanted, plans)
                assert "ix_albums_searched" in plans
                assert "ix_artists_searched" in plans


def _find_a_rare_text(database: Database, kind: type[ReleaseQuery], wanted: str) -> None:
    for words in ("c4ca4238", "夜に", "olafur arn"):
        asked = query.parse(kind, f"{wanted}&limit=20&q={quote(words)}")
        with Session(database.engine) as session, session.begin():
            found = pages.read_page(session, asked, None, TODAY, 20)
        assert found is not None
        assert found.page.items, words
        assert found.page.end is None, "one page has all"


def test_pages_of_artists_are_full_though_most_artists_have_come_before(world: World) -> None:
    asked, position, sizes = query.parse(ArtistsQuery, "limit=2"), None, []
    while position is None or position.place is not None:
        found = world.page(asked, position, 2)
        sizes.append(len(found.page.items))
        position = found.position._replace(place=found.page.end)
    assert len(sizes) > 3
    assert set(sizes[:-1]) == {2}


@settings(max_examples=12)
@given(st.sampled_from(SEARCHES), st.sampled_from([*LISTS]), st.sampled_from(["seen", "name"]))
def test_a_search_finds_the_same_with_and_without_its_indexes(
    world: World, words: str, kind: type[ReleaseQuery], sort: str
) -> None:
    asked = query.parse(kind, f"sort={sort}&upcoming=include&limit=20&q={quote(words)}")
    expected = listed(world, asked)
    assert read_all(world, asked, 20, between=lambda: world.sync(20)) == expected
    expected = listed(world, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "IS_SEARCHABLE", "SELECT false")
        assert read_all(world, asked, 20) == expected
        patch.undo()
        short = text("SELECT set_config('statement_timeout', '5ms', true)")
        patch.setattr(candidates, "FOR_SEARCH", short)
        patch.setattr(candidates, "_read", lambda session, *_: session.execute(SLEEP))
        assert read_all(world, asked, 60) == expected, "the indexes took too long"


def explained(database: Database, statements: list[tuple[str, Any]]) -> str:
    """Repeat the settings of a page, and explain its other statements."""
    plans: list[str] = []
    with database.engine.connect() as connection:
        for statement, given in statements:
            if "SELECT" in statement and "set_config" not in statement:
                explaining = connection.exec_driver_sql(f"EXPLAIN {statement}", given)
                plans += explaining.scalars()
            else:
                connection.exec_driver_sql(statement, given)
    return "\n".join(plans)


CHANGED_ALBUM = """
INSERT INTO former_albums (album_id, changed_at, created_at, release_date, album_type, folded_name,
    kind, work, removed, artists)
SELECT id, now(), created_at, release_date, album_type, folded_name, kind, work, removed, '{1}'
FROM albums WHERE id = 3000"""
CHANGED_ARTIST = """
INSERT INTO former_artists (artist_id, changed_at, folded_name) VALUES (3, now(), 'another name')"""
MANY_ARTISTS = """
INSERT INTO artists (spotify_id, name, folded_name, uri, external_urls)
SELECT lpad(n::text, 22, '0'), n, n, n, '{}' FROM generate_series(1, 3000) n"""
MANY_CREDITS = "INSERT INTO album_artists SELECT id, 0, id % 3000 + 1 FROM albums"
MANY_ALBUMS = """
INSERT INTO albums (spotify_id, name, folded_name, album_type, kind, work, release_date, uri,
    images, external_urls, position, created_at, last_seen_at)
SELECT lpad(n::text, 22, '0'), md5(n::text), md5(n::text), kind, kind, n / 3,
    to_char(seen + (n % 9 - 6) * interval '1 day', 'YYYY-MM-DD'), n, '[]', '{}', n % 100, seen, seen
FROM generate_series(1, 6000) n, LATERAL (SELECT
    timestamptz '2026-11-14' - n * interval '5 minutes' AS seen,
    (ARRAY['single', 'album', 'ep', 'compilation'])[1 + (n % 20 = 0)::int + (n % 40 = 0)::int
        + (n % 80 = 0)::int] AS kind) x"""
