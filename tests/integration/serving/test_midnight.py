"""At midnight (UTC) another day begins: for lists, feeds, caches on the way, and the fast lane."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.app.application import Application
from server.catalog import lifetime, zones
from server.catalog.lifetime import REVALIDATE, Clocks
from server.catalog.query import AlbumsQuery
from server.catalog.snapshot import AlbumEntry, Freshness, Snapshot
from server.serving.payload import Representation
from server.storage import sweeps
from tests.support.cache_rig import Rig, Timer, read
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.examples import album, sweep
from tests.support.loops import Closing
from tests.support.releases import release
from tests.support.settings import MakeSettings
from tests.support.waiting import until

EVENING = datetime(2026, 11, 20, 23, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
AGES = re.compile(r"public, max-age=(\d+), stale-while-revalidate=(\d+), stale-if-error=86400")
OF_THE_DAY = (
    "/api/albums/",
    "/api/artists/?sort=name",
    "/feeds/albums.atom",
    "/feeds/albums.ics?upcoming=only",
)
OF_THE_DATA = "/api/albums/?upcoming=include"
PATHS = (*OF_THE_DAY, OF_THE_DATA)


def ages(headers: Any) -> tuple[int, int]:
    found = AGES.fullmatch(dict(headers)["Cache-Control"])
    assert found is not None
    return int(found[1]), int(found[2])


@given(st.floats(0, 86_400), st.integers(0, 100_000))
def test_no_cache_serves_an_answer_when_its_time_is_over(left: float, max_age: int) -> None:
    made = lifetime.lifetime_before(left, max_age)
    assert made.seconds >= 0
    assert made.seconds + made.max_age + made.revalidate <= left
    assert 0 <= made.max_age <= max_age
    assert 0 <= made.revalidate <= REVALIDATE
    if left > max_age + REVALIDATE:
        assert (made.max_age, made.revalidate) == (max_age, REVALIDATE)


@given(st.integers(1, 86_400), st.integers(0, 86_400))
def test_few_answers_have_to_be_made_before_midnight(left: int, max_age: int) -> None:
    rest, builds = float(left), 0
    while rest > 0:
        rest -= lifetime.lifetime_before(rest, max_age).seconds
        builds += 1
    assert builds <= 18


@pytest.mark.parametrize("hours", [-11, 0, 5.5, 14])
def test_a_day_ends_at_midnight_in_utc_whatever_zone_the_clock_is_in(hours: float) -> None:
    moment = EVENING.astimezone(timezone(timedelta(hours=hours)))
    assert zones.seconds_to_midnight(moment) == 3600
    assert zones.start_of_day(zones.day_in(moment, UTC), UTC) == MIDNIGHT - timedelta(days=1)


def test_data_turns_stale_at_a_moment_that_is_known(clock: Clock) -> None:
    clocks = Clocks(clock, Timer(), lambda: timedelta(seconds=1800))
    complete_at = clock.moment
    fresh = clocks.context(complete_at, 1e9)
    assert (fresh.stale, fresh.stale_since, fresh.good_until) == (False, None, 1000 + 5400)
    clock.forward(seconds=5401)
    late = clocks.context(complete_at, 1e9)
    assert (late.stale, late.stale_since) == (True, complete_at + timedelta(seconds=5400))
    assert late.good_until == 1e9
    never = Clocks(clock, Timer(), timedelta).context(complete_at, 1e9)
    assert (never.stale, never.good_until) == (False, 1e9)


class Evening(Rig):
    """A cache with a release of each of three days around midnight; an hour is left."""

    def __init__(self, ttl: float = 86_400) -> None:
        super().__init__(Clock(EVENING))
        self.cache._load, self.cache._ttl = self.load, ttl
        self.down = False

    async def load(self) -> Snapshot:
        assert not self.down, "no database is asked at midnight"
        synced = EVENING - timedelta(minutes=5)
        albums = tuple(
            AlbumEntry(
                release(),
                "album",
                EVENING,
                b'{"day":%d}' % day,
                (),
                str(day),
                release_date=f"2026-11-{day}",
            )
            for day in (22, 21, 20)
        )
        return Snapshot(albums, Freshness(synced, synced, synced, "search", False))

    async def ask(self, query_string: str = "") -> Representation:
        return await self.cache.get(AlbumsQuery, query_string, "identity")

    def ready(self, query_string: str = "") -> Representation | None:
        return self.cache.peek("/api/albums/", query_string, "identity")

    def at(self, moment: datetime) -> None:
        self.forward((moment - self.clock.moment).total_seconds())


def days(made: Representation | None) -> list[int]:
    return [each["day"] for each in read(made)["items"]]


@pytest.mark.gen_test
async def test_the_answers_of_a_day_end_with_it_and_those_of_the_data_do_not() -> None:
    some = Evening()
    await some.cache.refresh()
    some.down = True
    before, whole = await some.ask(), await some.ask("upcoming=include")
    assert days(before) == [20]
    assert ages(before.headers) == (15, 60)
    some.at(MIDNIGHT - timedelta(seconds=76))
    assert some.ready() is before
    some.at(MIDNIGHT + timedelta(seconds=1))
    assert some.ready() is None
    after = await some.ask()
    assert days(after) == [21, 20]
    assert after.etag != before.etag
    assert some.ready("upcoming=include") is whole
    assert days(whole) == [22, 21, 20]


@pytest.mark.gen_test
async def test_in_the_last_minutes_caches_may_keep_an_answer_ever_shorter() -> None:
    some = Evening()
    await some.cache.refresh()
    some.down = True
    for seconds in (*range(120, 0, -1), 0.5, 0.01):
        some.at(MIDNIGHT - timedelta(seconds=seconds))
        made = await some.ask()
        assert days(made) == [20]
        assert sum(ages(made.headers)) <= seconds, "or a cache would serve it on the next day"
        if seconds > 75:
            assert ages(made.headers) == (15, 60)
        assert ages((await some.ask("upcoming=include")).headers) == (15, 60)
    some.at(MIDNIGHT)
    assert days(await some.ask()) == [21, 20]


@pytest.mark.gen_test
async def test_what_is_in_demand_is_ready_when_the_day_begins_without_the_database() -> None:
    some = Evening()
    await some.cache.refresh()
    await some.ask()
    some.down = True
    builds = 0
    for seconds in range(-100, 4):
        some.at(MIDNIGHT + timedelta(seconds=seconds))
        before = some.compute.calls
        await some.cache.tick()
        builds += some.compute.calls - before
        assert days(some.ready()) == ([21, 20] if seconds >= 0 else [20])
        assert some.peek("") is not None, "the default answer"
    assert builds <= 9
    calls = some.compute.calls
    for minutes in range(1, 300):
        some.at(MIDNIGHT + timedelta(minutes=minutes))
        await some.cache.tick()
    assert some.compute.calls == calls + 1, "when it turned stale"


@pytest.mark.gen_test
async def test_a_clock_that_jumps_into_another_day_is_followed_within_a_second() -> None:
    some = Evening()
    await some.cache.refresh()
    await some.ask()
    for moment, expected in (
        (MIDNIGHT + timedelta(days=1), [22, 21, 20]),
        (EVENING, [20]),
    ):
        some.clock.moment = moment  # but the timer goes on as ever, as after a sleep of the host
        some.timer.seconds += 1
        await some.cache.tick()
        assert days(some.ready()) == expected


@pytest.mark.gen_test
async def test_two_processes_give_the_same_bytes_before_and_after_midnight() -> None:
    one, other = Evening(), Evening()
    other.timer.seconds = 5_000_000
    for each in (one, other):
        await each.cache.refresh()
    await one.ask("sort=name")
    for moment in (MIDNIGHT - timedelta(seconds=1), MIDNIGHT + timedelta(seconds=1)):
        one.at(moment)
        other.at(moment)
        await one.cache.tick()  # warm here, cold there
        warm, cold = await one.ask("sort=name"), await other.ask("sort=name")
        assert (warm.body, warm.etag) == (cold.body, cold.etag)
        assert dict(warm.headers)["Last-Modified"] == dict(cold.headers)["Last-Modified"]


@pytest.mark.gen_test
async def test_an_answer_is_modified_when_the_day_begins_and_when_it_turns_stale() -> None:
    some = Evening()
    await some.cache.refresh()

    async def modified(query_string: str = "") -> str:
        return dict((await some.ask(query_string)).headers)["Last-Modified"]

    synced = "Fri, 20 Nov 2026 22:55:00 GMT"
    assert await modified() == await modified("upcoming=include") == synced
    some.at(MIDNIGHT)
    assert await modified() == "Sat, 21 Nov 2026 00:00:00 GMT"
    assert await modified("upcoming=include") == synced
    some.at(EVENING - timedelta(minutes=5) + timedelta(seconds=5401))
    assert read(await some.ask("upcoming=include"))["stale"] is True
    stale = "Sat, 21 Nov 2026 00:25:00 GMT"
    assert await modified() == await modified("upcoming=include") == stale


@pytest.mark.gen_test
async def test_a_day_begins_at_midnight_in_the_zone_that_is_asked_for() -> None:
    some, azores = Evening(), "tz=Atlantic/Azores"  # an hour behind UTC in November
    await some.cache.refresh()
    some.down = True
    one = MIDNIGHT + timedelta(hours=1)
    for moment, expected in (
        (MIDNIGHT - timedelta(seconds=1), [20]),
        (MIDNIGHT + timedelta(seconds=1), [20]),
        (one - timedelta(seconds=1), [20]),
        (one, [21, 20]),
    ):
        some.at(moment)
        await some.cache.tick()
        made = await some.ask(azores)
        assert days(made) == expected, moment
        if moment < one:
            assert moment + timedelta(seconds=sum(ages(made.headers))) < one
    assert dict(made.headers)["Last-Modified"] == "Sat, 21 Nov 2026 01:00:00 GMT"
    tokyo = await some.ask("tz=Asia/Tokyo&days=1")
    assert days(tokyo) == [21], "whose day began ten hours before"
    some.at(one + timedelta(hours=14, seconds=-1))
    assert days(await some.ask("tz=Asia/Tokyo&days=1")) == [21]
    some.at(one + timedelta(hours=14))
    assert days(await some.ask("tz=Asia/Tokyo&days=1")) == [22]


@pytest.mark.gen_test
async def test_what_is_in_demand_is_ready_when_the_day_begins_in_its_zone() -> None:
    some, azores = Evening(), "tz=Atlantic/Azores"
    await some.cache.refresh()
    some.at(MIDNIGHT + timedelta(seconds=1))
    await some.cache.tick()
    await some.ask(azores)
    await some.cache.refresh()
    await some.ask(azores)
    some.down = True
    one = MIDNIGHT + timedelta(hours=1)
    for seconds in range(-80, 3):
        some.at(one + timedelta(seconds=seconds))
        await some.cache.tick()
        assert days(some.ready(azores)) == ([21, 20] if seconds >= 0 else [20]), seconds


class Running:
    """Clocks that go as fast as ours, and that a test puts forward together."""

    def __init__(self) -> None:
        self.began, self.offset = time.monotonic(), 0.0

    def now(self) -> datetime:
        return EVENING + timedelta(seconds=self.timer() - self.began)

    def timer(self) -> float:
        return time.monotonic() + self.offset


@pytest.mark.gen_test
async def test_nothing_of_yesterday_is_sent_after_midnight_be_it_a_millisecond(
    make_settings: MakeSettings, closing: Closing
) -> None:
    """Not by handlers, nor the lane, nor by a cache that does what it is told."""
    clock = Running()
    freshet = Application(make_settings(sync_interval=0), clock.now, timer=clock.timer)
    freshet.start()
    closing(freshet.stop)
    await until(lambda: freshet.timers.are_running)
    items = [album(day, release_date=f"2026-11-{day}") for day in (20, 21, 22)]
    await freshet.database.run(
        sweeps.record_sweep, sweep(items), EVENING, clock.now, freshet.listener._origin
    )
    await freshet.cache.refresh()
    client = Client(freshet)
    yesterday = {path: (await client.fetch(path)).headers["ETag"] for path in PATHS}
    clock.offset = (MIDNIGHT - clock.now()).total_seconds() - 2.6
    freshet.head_cache.tick()  # which has come each second meanwhile
    answers = []
    while clock.now() < MIDNIGHT + timedelta(seconds=1.2):
        for path in PATHS:
            sent = clock.now()
            answer = await client.fetch(path)
            answers.append((path, sent, clock.now(), answer))
        near = abs((clock.now() - MIDNIGHT).total_seconds()) < 0.2
        await asyncio.sleep(0.002 if near else 0.05)
    later = {path: (await client.fetch(path)).headers["ETag"] for path in PATHS}
    for path, sent, received, answer in answers:
        etag, (max_age, revalidate) = answer.headers["ETag"], ages(answer.headers.get_all())
        if path == OF_THE_DATA:
            assert etag == yesterday[path] == later[path]
            assert (max_age, revalidate) == (15, 60)
        elif received < MIDNIGHT:
            assert etag == yesterday[path], path
            # A cache counts the time on the way, too: from when it asked (RFC 9111 section 4.2.3).
            assert sent + timedelta(seconds=max_age + revalidate) < MIDNIGHT
        elif sent >= MIDNIGHT:
            assert etag == later[path] != yesterday[path], (path, sent)
            assert answer.headers["Last-Modified"] == "Sat, 21 Nov 2026 00:00:00 GMT"
            assert (max_age, revalidate) == (15, 60)
    early = [sent for _, sent, _, _ in answers if sent < MIDNIGHT]
    assert len(early) > 10
    assert len(answers) > len(early) + 10
    assert (await client.fetch("/api/albums/", If_None_Match=later["/api/albums/"])).code == 304
    for path in set(PATHS) - {OF_THE_DATA}:
        since = "Fri, 20 Nov 2026 23:00:00 GMT"
        assert (await client.fetch(path, If_Modified_Since=since)).code == 200, path
    freshet.head_cache.tick()
    told = (await client.fetch("/metrics")).body.decode()
    by_lane = re.findall(r'requests_total\{by="lane".*status="200"\} (\d+)', told)
    assert sum(map(int, by_lane)) > len(answers) / 2, "warm ones are the lane's"
    client.http.close()
