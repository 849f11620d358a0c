"""Wanted artists are checked one by one, within the quota, and one bad artist harms one."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import Album, ArtistCheck, ArtistSchedule, Change, Listing
from server.database.admission import Admission, AdmittedDatabase
from server.database.executor import Database
from server.following.artist_list import ArtistList
from server.following.checker import ArtistChecker
from server.standin import Answer
from server.storage import following, sweeps
from tests.support.broken_tables import allow_writes, refuse_writes
from tests.support.check_rig import CheckRig, rig_maker
from tests.support.clock import Clock
from tests.support.examples import album, artist, spotify_id, sweep
from tests.support.loops import Closing
from tests.support.rate_limiters import limiter_in_memory
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn

DAYS = ("2026-11-13", "2019-05-01")


def her(number: int) -> str:
    return spotify_id("artist", number)


def path_of(number: int) -> str:
    return f"/v1/artists/{her(number)}/albums"


def records(number: int, *days: str, kind: str = "album", first: int = 0) -> list[Any]:
    """Return albums of one artist, whose ids begin with its number."""
    return [
        album(
            100 * number + first + each,
            artists=[artist(number)],
            album_type=kind,
            release_date=day,
        )
        for each, day in enumerate(days)
    ]


class Rig(CheckRig):
    """The checks by artists' own lists."""

    async def job(self) -> None:
        await self.checker.tick()

    @property
    def checker(self) -> ArtistChecker:
        return self.following.checker

    async def schedule(self, number: int) -> ArtistSchedule:
        rows = await self.all(select(ArtistSchedule).where(ArtistSchedule.artist == her(number)))
        found: ArtistSchedule = rows[0]
        return found

    def calls(self, number: int) -> list[tuple[str, int]]:
        """The calls for an artist: the group, and the offset."""
        return [
            (call.query["include_groups"], int(call.query.get("offset", 0)))
            for call in self.standin.calls
            if call.path == path_of(number)
        ]


@pytest.fixture
def rig(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
) -> Callable[..., Rig]:
    return rig_maker(Rig, start_standin, make_settings, database, clock, closing)


@pytest.mark.gen_test
async def test_first_checks_follow_at_once_and_take_two_calls_an_artist(
    rig: Callable[..., Rig],
) -> None:
    items = [*records(1, *DAYS), *records(2, "2026-11-19", kind="single"), *records(3, "2020")]
    checks = rig(items)
    await checks.watch(1, 2)
    logs = await checks.ticks(4)
    assert checks.calls(1) == checks.calls(2) == [("album", 0), ("single", 0)]
    assert checks.calls(3) == []
    listed = await checks.all(select(Album.spotify_id).join(Listing).order_by(Album.spotify_id))
    assert listed == [spotify_id("album", 100), spotify_id("album", 200)]
    assert len(await checks.all(select(Album.id))) == 3
    events = [each for each in logs if each["event"] == "artist_checked"]
    assert {(each["added"], each["way"], *each["statuses"]) for each in events} == {
        (1, "albums", 200, 200)
    }
    assert all(each["token_age"] in range(60) for each in events)
    assert (await checks.schedule(1)).newest_release == "2026-11-13"


@pytest.mark.gen_test
async def test_changes_are_announced_at_most_once_a_minute(rig: Callable[..., Rig]) -> None:
    checks = rig([each for number in range(1, 6) for each in records(number, *DAYS)])
    await checks.watch(*range(1, 6))
    await checks.ticks(7)
    assert checks.announced == 1
    await checks.ticks(2, seconds=60)
    assert checks.announced == 2
    await checks.ticks(3, seconds=60)
    assert checks.announced == 2


@pytest.mark.gen_test
async def test_changes_are_announced_once_the_database_is_back(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1)
    await checks.ticks(1)
    checks.checker._database = limiter_in_memory(clock)._database  # which is away
    await checks.ticks(2)
    assert checks.announced == 0
    checks.checker._database = checks.database
    await checks.ticks(2)
    assert checks.announced == 1


@pytest.mark.gen_test
async def test_an_unchanged_answer_is_asked_for_by_its_etag_and_the_next_check_comes_later(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1)
    await checks.ticks(1)
    intervals = []
    for _ in range(3):
        checks.clock.moment = (await checks.schedule(1)).next_check_at + timedelta(seconds=1)
        logs = await checks.ticks(1)
        assert [each["statuses"] for each in logs if each["event"] == "artist_checked"] == [
            [304, 304]
        ]
        intervals.append((await checks.schedule(1)).interval_days)
    assert intervals == [2, 4, 7]
    rows = await checks.all(select(ArtistCheck).order_by(ArtistCheck.id))
    assert [each.not_modified for each in rows] == [0, 2, 2, 2]
    seen = await checks.all(select(Album.last_seen_at))
    assert set(seen) == {rows[-1].at}


@pytest.mark.gen_test
async def test_a_release_is_found_by_the_next_check_and_brings_back_daily_ones(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1)
    await checks.ticks(1)
    checks.clock.moment = (await checks.schedule(1)).next_check_at + timedelta(seconds=1)
    await checks.ticks(1)
    assert (await checks.schedule(1)).interval_days == 2
    day = checks.clock().date().isoformat()
    checks.standin.catalogue.albums.insert(0, records(1, day, kind="single", first=50)[0])
    checks.clock.moment = (await checks.schedule(1)).next_check_at + timedelta(seconds=1)
    await checks.ticks(1)
    assert (await checks.schedule(1)).interval_days == 1
    assert await checks.all(select(Change.album).where(Change.kind == "added"))
    assert spotify_id("album", 150) in await checks.all(select(Album.spotify_id))


@pytest.mark.gen_test
async def test_further_pages_are_read_only_if_all_of_one_is_unknown(
    rig: Callable[..., Rig],
) -> None:
    old = [f"2010-01-{day:02d}" for day in range(1, 16)]
    checks = rig(records(1, *old))
    await checks.watch(1)
    await checks.ticks(1)
    assert checks.calls(1) == [("album", 0), ("single", 0)]
    new = [f"2026-11-{day:02d}" for day in range(1, 13)]
    checks.standin.catalogue.albums[:0] = records(1, *new, first=40)
    checks.clock.moment = (await checks.schedule(1)).next_check_at + timedelta(seconds=1)
    await checks.ticks(1)
    assert checks.calls(1)[2:] == [("album", 0), ("album", 10), ("single", 0)]
    assert len(await checks.all(select(Listing.id))) == 12


@pytest.mark.gen_test
async def test_further_pages_are_read_while_there_may_be_recent_releases(
    rig: Callable[..., Rig],
) -> None:
    start = date(2026, 10, 23)
    days = [(start + timedelta(days=each)).isoformat() for each in range(24)]
    items = records(1, *days[:12], "2026-10-01", *["2019"] * 9, kind="single")
    checks = rig(items)
    at = checks.clock()
    await checks.database.run(sweeps.record_sweep, sweep(items[11:12]), at, checks.clock)
    await checks.watch(1)
    await checks.ticks(1)
    pages = [("album", 0), ("single", 0), ("single", 10)]
    assert checks.calls(1) == pages
    later = records(1, *days[12:], kind="single", first=50)
    checks.standin.catalogue.albums[:0] = later
    await checks.database.run(sweeps.record_sweep, sweep(later[-1:]), at, checks.clock)
    checks.clock.moment = (await checks.schedule(1)).next_check_at + timedelta(seconds=1)
    await checks.ticks(1)
    assert checks.calls(1) == [*pages, *pages, ("single", 20)]
    listed = await checks.all(select(Listing.id).where(Listing.source == "followed"))
    assert len(listed) == 24 - 2, "two have been listed by syncs"


@pytest.mark.gen_test
async def test_a_call_that_fails_loses_nothing_that_the_other_has_found(
    rig: Callable[..., Rig],
) -> None:
    made = [
        release
        for number in (1, 2)
        for kind in ("album", "single")
        for release in records(number, DAYS[0], kind=kind, first=50 * (kind == "single"))
    ]
    checks = rig(made)
    for number in (1, 2):
        checks.standin.misbehave("502", path_of(number), after=number - 1)
    await checks.watch(1, 2)
    await checks.ticks(4)
    assert checks.calls(1) == checks.calls(2) == [("album", 0), ("single", 0)]
    found = {spotify_id("album", 150), spotify_id("album", 200)}
    assert set(await checks.all(select(Change.album))) == found
    plans = [await checks.schedule(number) for number in (1, 2)]
    assert {(each.failures, each.checked_at, each.error) for each in plans} == {
        (1, None, "502 Bad gateway.")
    }
    await checks.ticks(3, hours=1)
    assert len(await checks.all(select(Change.album))) == 4
    plans = [await checks.schedule(number) for number in (1, 2)]
    assert {each.error for each in plans} == {None}
    assert all(len(each.etags) == 2 for each in plans)


@pytest.mark.gen_test
async def test_a_quota_that_is_used_up_is_waited_for_without_a_call(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(
        [each for number in range(1, 7) for each in records(number, *DAYS)],
        {"quota_per_day": 12},
    )
    await checks.watch(*range(1, 7))
    await checks.ticks(20)
    made = sum(len(checks.calls(number)) for number in range(1, 7))
    assert made == 10  # a tenth is reserved, and a check takes two
    await checks.ticks(26, hours=1)
    assert sum(len(checks.calls(number)) for number in range(1, 7)) == 12
    assert checks.standin.lockouts == 0


@pytest.mark.gen_test
async def test_a_pause_that_spotify_asks_for_is_kept_and_the_artist_comes_next(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(records(1, *DAYS))
    checks.standin.answer_next(
        path_of(1), Answer(429, b"Too many requests", {"Retry-After": "600"})
    )
    await checks.watch(1)
    await checks.ticks(30)
    assert len(checks.calls(1)) == 1
    await checks.ticks(3, minutes=5)
    assert len(checks.calls(1)) == 3
    assert (await checks.schedule(1)).failures == 0


@pytest.mark.gen_test
async def test_an_unknown_artist_is_set_aside_ever_longer_and_harms_no_other(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1, 9)
    await checks.ticks(4)
    assert len(checks.calls(9)) == 1
    assert len(checks.calls(1)) == 2
    unknown = await checks.schedule(9)
    assert unknown.error == "404 Resource not found"
    assert unknown.failures == 1
    await checks.ticks(64, hours=3)
    assert len(checks.calls(9)) == 4  # after 1, 2 and 4 days


@pytest.mark.gen_test
async def test_an_endpoint_that_is_refused_for_all_is_left_alone_for_a_day(
    rig: Callable[..., Rig],
) -> None:
    numbers = range(1, 8)
    checks = rig([each for number in numbers for each in records(number, *DAYS)])
    for number in numbers:
        refusal = Answer(403, b'{"error": {"status": 403, "message": "Forbidden"}}', {})
        checks.standin.answer_next(path_of(number), refusal, times=9)
    await checks.watch(*numbers)
    await checks.ticks(30, minutes=10)
    assert sum(len(checks.calls(number)) for number in numbers) == 3


@pytest.mark.gen_test
async def test_an_outage_pauses_all_checks_and_sets_nobody_aside_for_days(
    rig: Callable[..., Rig],
) -> None:
    numbers = range(1, 8)
    checks = rig([each for number in numbers for each in records(number, *DAYS)])
    for number in numbers:
        checks.standin.answer_next(path_of(number), Answer(503, b"", {}), times=2)
    await checks.watch(*numbers)
    await checks.ticks(40)
    assert sum(len(checks.calls(number)) for number in numbers) == 6
    await checks.ticks(48, minutes=30)
    assert {(await checks.schedule(number)).error for number in numbers} == {None}


@pytest.mark.gen_test
async def test_what_cannot_be_stored_sets_its_artist_aside_and_no_other(
    rig: Callable[..., Rig],
) -> None:
    checks = rig([*records(1, *DAYS), *records(2, *DAYS)])
    await checks.database.run(refuse_writes, "albums", "P0001", spotify_id("album", 100))
    await checks.watch(1, 2)
    await checks.ticks(20)
    assert len(checks.calls(1)) == len(checks.calls(2)) == 2
    assert (await checks.schedule(1)).error == "InternalError"
    assert (await checks.schedule(2)).error is None


@pytest.mark.gen_test
async def test_a_database_that_takes_no_writes_costs_few_calls(rig: Callable[..., Rig]) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1)
    await checks.database.run(refuse_writes, "artist_checks", "25006", her(1))
    await checks.ticks(20)
    assert len(checks.calls(1)) == 2
    await checks.database.run(allow_writes, "artist_checks")
    await checks.ticks(2, minutes=10)
    assert (await checks.schedule(1)).checked_at is not None


@pytest.mark.gen_test
async def test_whom_nobody_wants_any_more_is_not_checked_and_has_no_listings(
    rig: Callable[..., Rig],
) -> None:
    checks = rig(records(1, *DAYS))
    await checks.watch(1)
    await checks.ticks(1)
    artists = {her(1): None}
    await checks.database.run(following.unchoose, None, artists, "watched")
    await checks.following.changed()
    await checks.ticks(50, hours=1)
    assert len(checks.calls(1)) == 2
    assert await checks.all(select(Listing.id).where(Listing.until.is_(None))) == []
    kinds = await checks.all(select(Change.kind).order_by(Change.seq))
    assert kinds == ["added", "found", "gone"]


@pytest.mark.gen_test
async def test_an_answer_with_a_broken_item_is_asked_for_whole_the_next_time(
    rig: Callable[..., Rig],
) -> None:
    good, broken = records(1, *DAYS)
    checks = rig([good, {**broken, "name": None}])
    await checks.watch(1)
    await checks.ticks(1)
    assert list((await checks.schedule(1)).etags) == ["single"]
    assert await checks.all(select(Album.spotify_id)) == [spotify_id("album", 100)]


@pytest.mark.gen_test
async def test_what_a_sync_has_stored_is_no_news_to_a_check(rig: Callable[..., Rig]) -> None:
    items = records(1, *DAYS)
    checks = rig(items)
    await checks.database.run(sweeps.record_sweep, sweep(items), checks.clock(), checks.clock)
    await checks.watch(1)
    logs = await checks.ticks(1)
    assert [each["added"] for each in logs if each["event"] == "artist_checked"] == [0]


@pytest.mark.gen_test
async def test_the_outlook_counts_first_checks_and_names_the_next_ones(
    rig: Callable[..., Rig],
) -> None:
    checks = rig([each for number in range(1, 4) for each in records(number, *DAYS)])
    await checks.watch(1, 2, 3)
    await checks.ticks(2)
    database = AdmittedDatabase(checks.database, Admission())
    artists = ArtistList(database, "", (), checks.following.calls_a_day, checks.clock)
    outlook = (await artists.state(None)).outlook
    assert (outlook.artists, outlook.checked, outlook.every) == (3, 2, "every 12 hours")
    (waiting,) = (number for number in (1, 2, 3) if not checks.calls(number))
    assert outlook.upcoming[0] == (her(waiting), checks.clock())
    assert {name for name, _ in outlook.upcoming} == {her(1), her(2), her(3)}
