"""What is not seen for long is deleted, in small batches, told, and never by mistake."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

import models
from models import (
    Album,
    AlbumArtist,
    Artist,
    ArtistCheck,
    ArtistSchedule,
    Change,
    JournalFloor,
    Listing,
    Quota,
    SyncRun,
)
from server.database.executor import Database
from server.following import rotation
from server.spotify.limits.cooldown import Cooldown
from server.spotify.list_parser import parse_items
from server.storage import artist_checks, following, retention, sweeps
from server.storage.artist_checks import Check, Scheduled
from server.sync.retention import Retention
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id, sweep
from tests.support.rate_limiters import STORE

KEEP = timedelta(days=90)


class Keeper:
    """A local copy, its retention, and what it told."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock, self.announced = database, clock, 0
        self.retention = Retention(database, self._announce, KEEP, clock)

    async def _announce(self) -> None:
        self.announced += 1

    async def take(self, items: list[Any], **fields: Any) -> None:
        await self.database.run(
            sweeps.record_sweep, sweep(items, **fields), self.clock(), self.clock
        )

    async def pass_days(self, days: float, items: list[Any]) -> None:
        """Time goes by, at the end of which two syncs a day apart have met these albums."""
        self.clock.forward(days=days - 1)
        await self.take(items)
        self.clock.forward(days=1)
        await self.take(items)

    async def all(self, statement: Any) -> list[Any]:
        return await self.database.run(lambda session: list(session.scalars(statement)))

    async def rows(self, statement: Any) -> list[Any]:
        ordered = statement.order_by(ArtistCheck.id)
        return await self.database.run(lambda session: list(map(tuple, session.execute(ordered))))

    async def count(self, model: Any) -> int:
        return int((await self.all(select(func.count()).select_from(model)))[0])


@pytest.fixture
def keeper(database: Database, clock: Clock) -> Keeper:
    return Keeper(database, clock)


@pytest.mark.gen_test
async def test_an_album_goes_ninety_days_after_it_was_last_seen_and_its_artist_with_it(
    keeper: Keeper, clock: Clock
) -> None:
    await keeper.take([album(1), album(2)])
    await keeper.pass_days(90, [album(2)])
    assert (await keeper.retention.clear()).albums == 0
    clock.forward(seconds=1)
    cleared = await keeper.retention.clear()
    assert (cleared.albums, cleared.artists) == (1, 1)
    assert await keeper.all(select(Album.spotify_id)) == [spotify_id("album", 2)]
    assert await keeper.all(select(Artist.spotify_id)) == [spotify_id("artist", 2)]
    assert await keeper.count(Listing) == await keeper.count(AlbumArtist) == 1
    assert keeper.announced == 1


@pytest.mark.gen_test
async def test_each_deletion_is_journalled(keeper: Keeper, clock: Clock) -> None:
    await keeper.take(albums(3))
    await keeper.pass_days(91, albums(1, 7))
    await keeper.retention.clear()
    deleted = await keeper.all(select(Change).where(Change.kind == "deleted"))
    assert [each.album for each in deleted] == [spotify_id("album", number) for number in range(3)]
    assert [each.release["name"] for each in deleted] == ["Album 0", "Album 1", "Album 2"]
    assert [each.release["artists"][0]["name"] for each in deleted][:1] == ["Artist 0"]


@pytest.mark.gen_test
async def test_the_deletion_of_a_release_that_was_found_but_never_new_is_journalled_too(
    keeper: Keeper, clock: Clock
) -> None:
    silent = album(1, release_date="2019-01-01")
    found = Check(spotify_id("artist", 1), "albums", parse_items([silent]).releases, 2)
    before = Scheduled(found.artist, clock(), clock())
    await keeper.take(albums(1, 7))
    await keeper.database.run(
        artist_checks.record_check, found, before, clock, rotation.after_check
    )
    await keeper.pass_days(91, albums(1, 7))
    assert (await keeper.retention.clear()).albums == 1
    assert await keeper.all(select(Change.kind)) == ["deleted"]  # the other entries are old, too


@pytest.mark.gen_test
async def test_old_checks_go_but_the_last_that_changed_anything_and_plans_that_nobody_uses(
    keeper: Keeper, clock: Clock
) -> None:
    start = clock()
    await keeper.take(albums(1))
    for changed, days in ((True, 0), (True, 1), (False, 2), (False, 80)):
        at = start + timedelta(days=days)
        await keeper.database.run(_record_check, at, changed)
    plans = {"unused": 5, "used": 95}
    for artist_id, days in plans.items():
        due = start + timedelta(days=days)
        await keeper.database.run(_plan_check, artist_id, start, due)
    await keeper.pass_days(100, albums(1))
    await keeper.retention.clear()
    kept = await keeper.all(select(ArtistCheck.at).order_by(ArtistCheck.id))
    assert kept == [start + timedelta(days=1), start + timedelta(days=80)]
    assert await keeper.all(select(ArtistSchedule.artist)) == ["used"]


@pytest.mark.gen_test
async def test_releases_of_artists_that_are_rarely_checked_do_not_come_and_go(
    keeper: Keeper, clock: Clock, database: Database
) -> None:
    """A thousand artists are checked every 25 days each, and releases may go after 15."""
    her, start = spotify_id("artist", 1), clock()
    keeper.retention = Retention(database, keeper._announce, timedelta(days=15), clock)
    await database.run(following.choose, None, {her: None}, "watched", start)
    dates = {1: "2026", 2: "2019-01-01", 3: "2026-11-19", 4: "2027-02-01", 5: "2026-12"}
    theirs = {
        number: album(number, artists=[artist(1)], release_date=day)
        for number, day in dates.items()
    }
    told: list[tuple[int, str, str]] = []

    async def check(*numbers: int) -> None:
        items = [theirs[number] for number in numbers]
        found = Check(her, "albums", parse_items(items).releases, 2)
        before = (await database.run(artist_checks.plan_checks, [her], clock()))[her]
        assert (before.checked_at is None) == (clock() == start), "its plan stays while wanted"
        await database.run(artist_checks.record_check, found, before, clock, rotation.after_check)

    async def pass_days(days: int) -> list[tuple[str, str]]:
        """Return what the journal has told meanwhile, as it does not keep it for long."""
        seen = select(Change.seq, Change.kind, Change.album).order_by(Change.seq)
        for _ in range(0, days, 5):
            await keeper.pass_days(5, [album(9)])
            await database.run(artist_checks.close_listings, [her], clock())
            await keeper.retention.clear()
            rows = await database.run(lambda session: session.execute(seen).all())
            last = max(told)[0] if told else 0
            told.extend((row.seq, row.kind, row.album) for row in rows if row.seq > last)
        return [(kind, each[-1]) for _, kind, each in told if each != spotify_id("album", 9)]

    await check(1, 2, 3, 4)
    await pass_days(25)
    await check(1, 2, 3, 4, 5)
    once = [("found", "1"), ("found", "2"), ("added", "3"), ("added", "4"), ("added", "5")]
    assert await pass_days(25) == [*once, ("gone", "3")]
    assert await keeper.count(Album) == 6
    await check(1, 2, 3, 5)
    ended = [*once, ("gone", "3"), ("gone", "5"), ("deleted", "4")]
    assert await pass_days(10) == ended, "a check has not found it"
    await database.run(following.unchoose, None, [her], "watched")
    await pass_days(10)
    assert await keeper.count(Album) == 1, "nobody wants her any more"


def _plan_check(session: Session, artist_id: str, added_at: datetime, due: datetime) -> None:
    session.add(
        ArtistSchedule(
            artist=artist_id,
            added_at=added_at,
            checked_at=due - timedelta(days=7),
            next_check_at=due,
            interval_days=7,
            etags={},
            failures=0,
        )
    )


def _record_check(session: Session, at: datetime, changed: bool) -> None:
    session.add(
        ArtistCheck(
            artist="x",
            at=at,
            way="albums",
            calls=2,
            not_modified=0,
            seen=0,
            added=0,
            changed=changed,
        )
    )


@pytest.mark.gen_test
async def test_an_artist_stays_with_any_album_left(keeper: Keeper, clock: Clock) -> None:
    both = [artist(1), artist(2)]
    await keeper.take([album(1, artists=both), album(2, artists=[artist(1)])])
    await keeper.pass_days(91, [album(2, artists=[artist(1)])])
    await keeper.retention.clear()
    assert await keeper.all(select(Artist.spotify_id)) == [spotify_id("artist", 1)]


@pytest.mark.gen_test
async def test_an_artist_who_lost_the_last_credit_goes_once_no_reading_shows_it_any_more(
    keeper: Keeper, clock: Clock
) -> None:
    both = [artist(1), artist(2)]
    await keeper.take([album(1, artists=both), album(2, artists=both)])
    await keeper.take([album(1, artists=[artist(1)]), album(2, artists=[artist(1)])])
    await keeper.pass_days(8, [album(1, artists=[artist(1)])])
    assert (await keeper.retention.clear()).artists == 0
    await keeper.pass_days(2, [album(1, artists=[artist(1)])])
    assert (await keeper.retention.clear()).artists == 1
    await keeper.take([album(1, artists=[artist(3)])])
    await keeper.pass_days(91, albums(1, 7))  # the album goes before its former state does
    await keeper.retention.clear()
    assert await keeper.all(select(Artist.spotify_id)) == [spotify_id("artist", 7)]


@pytest.mark.parametrize("outcome", ["no sync", "a partial sync", "a complete one long ago"])
@pytest.mark.gen_test
async def test_nothing_goes_as_long_as_no_sync_could_see_everything(
    keeper: Keeper, clock: Clock, outcome: str
) -> None:
    await keeper.take(albums(3))
    clock.forward(days=400)
    if outcome == "a partial sync":
        await keeper.take(albums(1), complete=False, error="502")
    if outcome == "a complete one long ago":
        await keeper.take(albums(1))
        clock.forward(days=1, seconds=1)
    assert (await keeper.retention.clear()).albums == 0
    assert await keeper.count(Album) == 3


@pytest.mark.gen_test
async def test_much_goes_in_small_batches(keeper: Keeper, clock: Clock, database: Database) -> None:
    await keeper.take(albums(1200))
    await keeper.pass_days(91, [album(0)])
    first = await database.run(retention.delete_batch, clock(), KEEP)
    assert (first.albums, first.more) == (retention.BATCH, True)
    assert await keeper.count(Album) == 1200 - retention.BATCH
    total = await keeper.retention.clear()
    assert total.albums == 1199 - retention.BATCH
    assert await keeper.count(Artist) == 1
    assert keeper.announced == 1


@pytest.mark.gen_test
async def test_old_journals_go_but_what_tells_how_fresh_all_is_stays(
    keeper: Keeper, clock: Clock, database: Database
) -> None:
    await keeper.take(albums(2))
    await keeper.take(albums(2), complete=False, error="502")
    clock.forward(days=1)
    for _ in range(5):
        await keeper.take(albums(2))
        clock.forward(days=45)
    clock.forward(days=46)
    await database.run(_age_all, clock() - timedelta(days=300))
    (last,) = await keeper.all(select(func.max(Change.seq)))
    await keeper.pass_days(1, albums(2))
    await keeper.retention.clear()
    outcomes = await keeper.all(select(SyncRun.outcome).order_by(SyncRun.id))
    assert outcomes.count("partial") == 1
    assert 3 <= outcomes.count("complete") <= 4
    assert await keeper.count(Change) == 0
    assert await keeper.count(Album) == 2
    assert await keeper.all(select(JournalFloor.seq)) == [last]


@pytest.mark.gen_test
async def test_hours_that_no_longer_count_are_forgotten(
    keeper: Keeper, clock: Clock, database: Database
) -> None:
    def count(session: Session) -> None:
        for age in (0, 24, 25, 800):
            window = clock().replace(minute=0, second=0) - timedelta(hours=age)
            session.add(Quota(bucket="/search", window=window, calls=1))

    await database.run(count)
    clock.forward(days=365)
    await keeper.take(albums(1))
    await keeper.retention.clear()
    assert await keeper.count(Quota) == 4, "the clock may be wrong"
    clock.forward(days=-365)
    await keeper.take(albums(1))
    clock.forward(days=-1)
    await keeper.take(albums(1))
    clock.forward(days=1)
    await keeper.take(albums(1))
    await keeper.retention.clear()
    assert await keeper.count(Quota) == 3


@pytest.mark.gen_test
async def test_a_sync_at_the_same_time_waits_and_loses_nothing(
    keeper: Keeper, clock: Clock
) -> None:
    await keeper.take(albums(900))
    await keeper.pass_days(91, [album(0)])
    await asyncio.gather(keeper.retention.clear(), keeper.take(albums(900)))
    await keeper.take(albums(900))
    assert await keeper.count(Album) == 900
    assert await keeper.count(AlbumArtist) == 900


@pytest.mark.gen_test
async def test_a_database_that_is_away_stops_no_timer(keeper: Keeper) -> None:
    keeper.database.close()
    await keeper.retention.tick()


def _age_all(session: Session, at: Any) -> None:
    session.execute(update(SyncRun).values(finished_at=at))
    session.execute(update(Change).values(at=at))


@pytest.mark.gen_test
async def test_a_clock_that_jumps_ahead_for_a_while_deletes_nothing(
    keeper: Keeper, clock: Clock
) -> None:
    await keeper.pass_days(2, albums(5))
    clock.forward(days=100)
    await keeper.take(albums(2))
    assert (await keeper.retention.clear()).albums == 0
    clock.forward(hours=20)
    await keeper.take(albums(2))
    assert (await keeper.retention.clear()).albums == 0
    assert await keeper.count(Album) == 5


@pytest.mark.gen_test
async def test_a_clock_that_was_behind_deletes_nothing_before_the_next_sync_has_seen_it_again(
    keeper: Keeper, clock: Clock
) -> None:
    await keeper.pass_days(2, albums(5))
    right = clock.moment
    clock.forward(days=-100)
    await keeper.take(albums(5))
    clock.moment = right
    assert (await keeper.retention.clear()).albums == 0
    await keeper.take(albums(5))
    assert (await keeper.retention.clear()).albums == 0
    assert await keeper.count(Album) == 5


@pytest.mark.gen_test
async def test_what_is_kept_of_the_journal_has_no_holes_whatever_the_clock_did(
    keeper: Keeper, clock: Clock, database: Database
) -> None:
    """An entry of a clock that ran ahead is the oldest one kept, though younger ones look older."""
    await keeper.take(albums(2))
    clock.forward(days=200)
    await keeper.take(albums(1, 5))
    clock.forward(days=-200)
    await keeper.take(albums(3, 10))
    ahead = await keeper.all(select(func.max(Change.at)))
    await keeper.pass_days(95, albums(1))
    kept = await keeper.all(select(Change.seq).order_by(Change.seq))
    await keeper.retention.clear()
    oldest, *_ = await keeper.all(select(Change).order_by(Change.seq))
    assert [oldest.at] == ahead
    assert await keeper.all(select(JournalFloor.seq)) == [oldest.seq - 1]
    left = await keeper.all(select(Change.seq).order_by(Change.seq))
    assert left[: len(kept) - 2] == kept[2:]


@pytest.mark.gen_test
async def test_the_floor_of_the_journal_only_rises(keeper: Keeper, clock: Clock) -> None:
    floors = []
    for number in range(3):
        await keeper.take(albums(2, 10 * number))
        clock.forward(days=91)
        await keeper.pass_days(1, albums(1, 100))
        await keeper.retention.clear()
        floors += await keeper.all(select(JournalFloor.seq))
        (oldest,) = await keeper.all(select(func.min(Change.seq)))
        assert floors[-1] < oldest
    assert floors == sorted(set(floors))


@pytest.mark.gen_test
async def test_a_pause_that_is_long_over_is_forgotten_and_no_other(
    keeper: Keeper, clock: Clock
) -> None:
    for bucket, days in (("/old", -31), ("/recent", -29), ("/api/token", 1)):
        cooldown = Cooldown(clock() - timedelta(days=40), clock() + timedelta(days=days), "429", 1)
        await keeper.database.run(STORE.store_cooldown, bucket, cooldown)
    clock.forward(days=-1)
    await keeper.pass_days(1, albums(1))
    await keeper.retention.clear()
    assert await keeper.all(select(models.Cooldown.bucket).order_by(models.Cooldown.bucket)) == [
        "/api/token",
        "/recent",
    ]
