"""The snapshot holds the latest releases in the promised order, read through the indexes."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import Session

from models import Album, Artist, Listing
from server.catalog.query import Portion
from server.catalog.release import VARIOUS_ARTISTS, Release
from server.catalog.snapshot import HELD, MAX_RELEASE_LIMIT, Depth, Snapshot
from server.catalog.versions import recognise
from server.database.executor import Database
from server.spotify.types import Verdicts
from server.storage import freshness, snapshots, sweeps, sync_runs
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id, sweep

TODAY = date(2026, 11, 20)
START = datetime(2026, 11, 20, 5, tzinfo=UTC)
AHEAD = 50 * 365 * 24  # hours


def take(database: Database, items: list[Any], hours: float = 0, **fields: Any) -> None:
    at = START + timedelta(hours=hours)
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(items, **fields), at, lambda: at)


def load(database: Database, depth: Depth = HELD) -> Snapshot:
    with Session(database.engine) as session:
        return snapshots.load(session, TODAY, depth)


def numbers(snapshot: Snapshot) -> list[int]:
    texts = (each.json for each in snapshot.albums)
    return [int(orjson.loads(text)["spotify_id"][5:]) for text in texts]


def test_a_day_comes_before_its_month_and_a_month_before_its_year(database: Database) -> None:
    dates = ["2026", "2026-11-20", None, "2025-12-31", "0000", "2026-11", "2026-11-21"]
    take(database, [album(number, release_date=date) for number, date in enumerate(dates)])
    assert numbers(load(database)) == [6, 1, 5, 0, 3, 4, 2]


def test_of_one_day_the_last_seen_first_comes_first_then_the_place_in_the_list(
    database: Database,
) -> None:
    take(database, [album(5), album(3)], hours=0)
    take(database, [album(9), album(5), album(7), album(3)], hours=1)
    assert numbers(load(database)) == [9, 7, 5, 3]


def test_more_than_any_limit_of_each_type_are_there_however_many_of_another_are_newer(
    database: Database,
) -> None:
    old = [album(n, album_type="ep", release_date="2020-01-01") for n in range(5)]
    odd = [album(1000, album_type=None, release_date="2027-01-01")]
    take(database, odd + albums(40, first=10) + old)
    snapshot = load(database, Depth(20, 30))
    kinds = [each.album_type for each in snapshot.albums]
    assert (kinds.count("album"), kinds.count("ep"), kinds.count(None)) == (30, 5, 1)
    assert HELD.overall > HELD.of_type > MAX_RELEASE_LIMIT, "filters take some away"


def test_a_release_tells_whose_version_of_what_it_is(database: Database) -> None:
    guests = [artist(1), artist(2)]
    twins = [
        album(1, name="Tides", artists=guests),
        album(2, name="TIDES (Deluxe)", artists=guests),
    ]
    various = artist(9, id=VARIOUS_ARTISTS)
    take(database, [*twins, album(3, artists=[various]), album(4, artists=[])])
    plain, deluxe, mixed, nobodys = load(database).albums
    work = recognise(spotify_id("artist", 1), "album", "2026-11-20", "Tides").work
    assert plain.edition is not None
    assert deluxe.edition is not None
    assert (plain.edition.work, plain.edition.removed) == (work, 0)
    assert (deluxe.edition.work, deluxe.edition.removed) == (work, 1)
    assert [each.various_artists for each in (plain, mixed, nobodys)] == [False, True, False]
    assert nobodys.edition is None


def test_an_artist_is_one_entry_however_many_albums_it_has(database: Database) -> None:
    take(database, [album(n, artists=[artist(1), artist(n + 10)]) for n in range(3)])
    snapshot = load(database)
    assert len({id(each.artists[0]) for each in snapshot.albums}) == 1
    assert [each.artists[1].spotify_id for each in snapshot.albums] == [
        spotify_id("artist", n + 10) for n in range(3)
    ]


def test_a_release_shows_what_its_json_says(database: Database) -> None:
    take(database, albums(3))
    for each in load(database).albums:
        assert each.release == Release.of(orjson.loads(each.json))


def test_a_snapshot_takes_four_statements_and_few_rows(database: Database) -> None:
    take(database, albums(500))
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    load(database)
    assert len(seen) == 4


def test_a_snapshot_and_its_place_are_of_one_moment_whatever_is_stored_meanwhile(
    database: Database,
) -> None:
    take(database, albums(2))
    before = load(database)
    statements = iter(range(4))

    def sync_meanwhile(*_: Any) -> None:
        if next(statements, None) == 2:  # of the reading, not of the sync itself
            take(database, albums(4), hours=1)

    event.listen(database.engine, "before_cursor_execute", sync_meanwhile)
    during = load(database)
    event.remove(database.engine, "before_cursor_execute", sync_meanwhile)
    assert (during.albums, during.freshness) == (before.albums, before.freshness)
    assert load(database).freshness.place.partition("-")[0] == "4"


def test_the_latest_are_found_through_indexes_and_not_by_sorting_the_table(
    database: Database,
) -> None:
    take(database, albums(1000))
    with database.engine.begin() as connection:
        connection.execute(text("ANALYZE albums"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        latest = select(Album.id).where(snapshots._held(HELD)).params(today=TODAY.isoformat())
        query = latest.compile(connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {query}")))
    for index in ("latest", "latest_of_type", "seen", "seen_of_type"):
        assert f"using ix_albums_{index} " in plan, index
    assert "Incremental Sort" not in plan


def test_the_releases_of_artists_are_found_through_indexes_alone(database: Database) -> None:
    take(database, [album(n, artists=[artist(n % 100), artist(n % 7)]) for n in range(1000)])
    portion = Portion(artists=tuple(spotify_id("artist", n) for n in range(20, 25)))
    asked: list[tuple[str, Any]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *args: asked.append((args[2], args[3]))
    )
    with Session(database.engine) as session:
        found = snapshots.load_portion(session, portion, TODAY)
    assert len(found.albums) == 50
    assert len(asked) == 5
    read = asked[:3]  # the others read how fresh the data is
    with database.engine.begin() as connection:
        for table in ("albums", "artists", "album_artists"):
            connection.execute(text(f"ANALYZE {table}"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plans = [
            "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {query}", given))
            for query, given in read
        ]
    for plan in plans:
        assert "Seq Scan" not in plan
    for index in ("artists_spotify_id", "album_artists_artist_id"):
        assert index in plans[0]
    assert "albums_pkey" in plans[1] or "pk_albums" in plans[1]


def test_of_artists_all_releases_are_read_up_to_a_number_that_memory_bears(
    database: Database,
) -> None:
    whole = snapshots.OF_ARTISTS.overall
    own = [album(n, artists=[artist(1), *[artist(2)] * (n < 3)]) for n in range(whole)]
    take(database, own)
    with Session(database.engine) as session:
        one, two = Portion(artists=(artist(1)["id"],)), Portion(artists=(artist(2)["id"],))
        found = snapshots.load_portion(session, one, TODAY)
        assert (len(found.albums), found.depth) == (whole, None)
    with Session(database.engine) as session:
        assert numbers(snapshots.load_portion(session, two, TODAY)) == [0, 1, 2]
    take(database, [album(5000, artists=[artist(1)])], hours=1)
    with Session(database.engine) as session:
        found = snapshots.load_portion(session, one, TODAY)
        assert (len(found.albums), found.depth) == (whole, snapshots.OF_ARTISTS)
        assert numbers(found)[0] == 5000


def test_the_releases_of_a_day_are_found_even_if_a_clock_was_put_back_meanwhile(
    database: Database,
) -> None:
    """Then a listing may end before it begins."""
    take(database, albums(2))
    ended = Listing.since - timedelta(hours=1)
    with Session(database.engine) as session, session.begin():
        session.execute(update(Listing).where(Listing.album_id == 2).values(until=ended))
    days = {}
    for day in (19, 20, 21):
        with Session(database.engine) as session:
            found = snapshots.load_portion(session, Portion(f"2026-11-{day}"), TODAY)
        days[day] = numbers(found)
    assert days == {19: [], 20: [0, 1], 21: [0]}


@pytest.mark.parametrize(
    ("outcomes", "partial", "complete_hour", "synced_hour"),
    [(["complete"], False, 0, 0), (["complete", "partial"], True, 0, 1)],
)
def test_freshness_tells_complete_from_partial(
    database: Database,
    outcomes: list[str],
    partial: bool,
    complete_hour: int,
    synced_hour: int,
) -> None:
    for hour, outcome in enumerate(outcomes):
        take(database, albums(2), hours=hour, complete=outcome == "complete")
    freshness = load(database).freshness
    assert freshness.partial is partial
    assert freshness.complete_at == START + timedelta(hours=complete_hour)
    assert freshness.synced_at == START + timedelta(hours=synced_hour)
    assert freshness.as_of == START
    assert freshness.source == "search"


def test_before_the_first_sync_nothing_is_known(database: Database) -> None:
    snapshot = load(database)
    assert snapshot.albums == ()
    assert snapshot.freshness.synced_at is None


def test_times_of_a_clock_that_ran_ahead_are_not_believed_once_it_is_put_right(
    database: Database,
) -> None:
    take(database, albums(1), hours=AHEAD, source="new_releases")
    take(database, albums(1), hours=AHEAD + 1, source="new_releases", complete=False)
    take(database, albums(2), hours=1, why="the other is refused")
    take(database, albums(2), hours=2, why="the other is refused")
    known = load(database).freshness
    assert known.complete_at == known.synced_at == START + timedelta(hours=2)
    assert known.as_of == known.new_at == START + timedelta(hours=1)
    assert (known.source, known.why, known.partial) == ("search", "the other is refused", False)
    take(database, albums(2), hours=3, complete=False)
    known = load(database).freshness
    assert (known.synced_at, known.partial) == (START + timedelta(hours=3), True)
    assert known.complete_at == START + timedelta(hours=2)


def test_nor_are_those_of_artists_that_a_clock_ahead_has_changed(database: Database) -> None:
    take(database, albums(2))
    with Session(database.engine) as session, session.begin():
        now = session.scalar(select(func.now()))
        assert now is not None
        ahead = update(Artist).values(updated_at=now + timedelta(hours=1))
        session.execute(ahead.where(Artist.spotify_id == spotify_id("artist", 0)))
        true = update(Artist).values(updated_at=now + timedelta(seconds=1))
        session.execute(true.where(Artist.spotify_id == spotify_id("artist", 1)))
    assert load(database).freshness.as_of == max(START, now + timedelta(seconds=1))


def test_without_any_new_album_new_is_what_the_first_sync_brought(database: Database) -> None:
    for hours in (AHEAD, 1, 2):
        take(database, [], hours=hours)
    assert load(database).freshness.new_at == START + timedelta(hours=AHEAD)


def test_a_run_that_brought_new_albums_is_the_newest_of_its_kind_at_once(
    database: Database,
) -> None:
    took = []
    with Session(database.engine) as session, session.begin():
        for hours, items in ((0, []), (1, albums(1)), (2, albums(1)), (3, albums(2))):
            at = START + timedelta(hours=hours)
            took.append(sweeps.record_sweep(session, sweep(items), at, Clock(at)))
    news = [each.new_at and (each.new_at - START) / timedelta(hours=1) for each in took]
    assert news == [0, 1, 1, 3]


def test_freshness_reads_no_row_that_it_does_not_tell_however_many_syncs_have_failed(
    database: Database,
) -> None:
    take(database, albums(5))
    take(database, albums(5), hours=1, complete=False)
    with Session(database.engine) as session, session.begin():
        for _ in range(500):
            sync_runs.record_failure(
                session, Verdicts(), 1, "502", START, START + timedelta(hours=2)
            )
    with database.engine.begin() as connection:
        for table in ("sync_runs", "albums", "artists", "changes"):
            connection.execute(text(f"ANALYZE {table}"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = freshness._statement().compile(connection, compile_kwargs={"literal_binds": True})
        rows = connection.exec_driver_sql(f"EXPLAIN ANALYZE {query}".replace("%", "%%"))
        plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan
    assert "Seq Scan" not in plan
    assert "Rows Removed" not in plan
