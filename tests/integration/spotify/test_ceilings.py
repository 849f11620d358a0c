"""Ceilings in the database: what a refusal teaches all processes, and what followed artists use."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs
from tornado.httputil import HTTPHeaders

import models
from server.database.executor import Database
from server.errors import (
    ConnectionCut,
    DatabaseError,
    Paused,
    QuotaSpent,
    RateLimited,
    SpotifyTimeout,
)
from server.spotify.limits import usage_store
from server.spotify.limits.quota import ARTIST_ALBUMS, hour_of
from server.spotify.limits.rate_limiter import CUTS_IN_A_ROW, RateLimiter
from server.spotify.transport import Response
from tests.support.clock import Clock
from tests.support.rate_limiters import APP, STORE, limiter_in_memory
from tests.support.waiting import until

SEARCH = "/search"
DAY = 86_400
AT_ONCE = 15  # calls, of which each by itself takes a transaction of a millisecond or two
OK = Response(200, HTTPHeaders(), b"{}")
SPENT = {"error": {"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"}}


def spent(retry_after: str | None) -> Response:
    headers = HTTPHeaders({} if retry_after is None else {"Retry-After": retry_after})
    return Response(429, headers, orjson.dumps(SPENT))


def limited(retry_after: str) -> Response:
    return Response(429, HTTPHeaders({"Retry-After": retry_after}), b"Too many requests")


class Process:
    """Makes calls in a process of its own: only the database is shared with others."""

    def __init__(self, limiter: RateLimiter) -> None:
        self.limiter = limiter

    async def call(
        self,
        answer: Response | Exception = OK,
        bucket: str = SEARCH,
        purpose: Any = "interactive",
    ) -> None:
        async def make() -> Response:
            if isinstance(answer, Exception):
                raise answer
            return answer

        await self.limiter.call(make, bucket, purpose)

    async def calls(self, number: int, bucket: str = SEARCH, purpose: Any = "interactive") -> int:
        """Return how many of so many calls were made.

        Where there is room, most are counted many at once; the last before the end are made one by
        one.
        """
        made = 0
        with suppress(Paused):
            while made < number:
                await self.call(bucket=bucket, purpose=purpose)
                made += 1
                made += await self._count_at_once(number - made, bucket, purpose)
        return made

    async def _count_at_once(self, number: int, bucket: str, purpose: Any) -> int:
        limiter, now = self.limiter, self.limiter._now()
        try:
            usage = await limiter._database.run(limiter.store.read, bucket, now)
            room = limiter.budget.room(bucket, usage, purpose, now)
            if usage.is_paused(now) or min(room, number) < AT_ONCE:
                return 0
            counts = {(bucket, hour_of(now)): AT_ONCE}
            following = counts if purpose == "following" else {}
            await limiter._database.run(limiter.store.count, counts, following)
        except DatabaseError:
            return 0
        return AT_ONCE

    async def refuse(self, answer: Response, bucket: str = SEARCH) -> int:
        """Get a 429; return the seconds of the pause."""
        with pytest.raises(RateLimited) as caught:
            await self.call(answer, bucket)
        return caught.value.seconds


Start = Callable[..., Process]


@pytest.fixture
def process(database: Database, clock: Clock) -> Start:
    return lambda per_day=500, app=APP: Process(RateLimiter(database, app, per_day, clock))


async def stored(database: Database) -> dict[str, tuple[int, int | None]]:
    rows = await database.run(lambda session: session.scalars(select(models.Ceiling)).all())
    return {row.bucket: (row.per_day, row.refused_calls) for row in rows}


@pytest.mark.gen_test
async def test_a_bucket_starts_low_and_rises_by_a_tenth_a_week_in_all_processes(
    process: Start, clock: Clock, database: Database
) -> None:
    one, two = process(), process()
    assert await one.calls(100, bucket=ARTIST_ALBUMS) == 80
    assert await stored(database) == {ARTIST_ALBUMS: (80, None)}
    clock.forward(days=6)
    assert await one.calls(100, bucket=ARTIST_ALBUMS) == 80
    clock.forward(days=2)
    assert await two.calls(100, bucket=ARTIST_ALBUMS) == 88
    assert await stored(database) == {ARTIST_ALBUMS: (88, None)}
    clock.forward(days=2)
    assert await process().calls(100, bucket=ARTIST_ALBUMS) == 88


@pytest.mark.gen_test
async def test_a_spent_quota_teaches_every_process_also_after_a_restart(
    process: Start, clock: Clock, database: Database
) -> None:
    one, two = process(), process()
    assert await one.calls(30) + await two.calls(70) == 100
    clock.forward(hours=3)
    with capture_logs() as logs:
        assert await two.refuse(spent(str(DAY - 3 * 3600))) == DAY - 3 * 3600
    (line,) = [line for line in logs if line["event"] == "ceiling_lowered"]
    assert (line["before"], line["per_day"], line["refused_calls"]) == (300, 80, 100)
    assert await stored(database) == {SEARCH: (80, 100)}
    clock.forward(hours=26)
    assert await process().calls(100) == 80
    clock.forward(hours=26)
    assert await one.calls(100) == 80


@pytest.mark.gen_test
async def test_a_long_pause_without_a_reason_teaches_the_same(
    process: Start, database: Database
) -> None:
    one = process()
    await one.calls(50, bucket=ARTIST_ALBUMS)
    await one.refuse(limited(str(DAY - 60)), ARTIST_ALBUMS)
    assert await stored(database) == {ARTIST_ALBUMS: (40, 50)}


@pytest.mark.parametrize("retry_after", ["11", "3600", "0", "-5", "soon"])
@pytest.mark.gen_test
async def test_a_short_pause_teaches_nothing(
    process: Start, database: Database, retry_after: str
) -> None:
    one = process()
    await one.calls(50)
    await one.refuse(limited(retry_after))
    assert await stored(database) == {SEARCH: (300, None)}


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("11", 11), ("0", 1), ("-86400", 1), ("9" * 12, 172_800), ("9" * 400, 900), (None, 900)],
)
@pytest.mark.gen_test
async def test_the_code_of_a_spent_quota_teaches_whatever_the_length_of_its_pause(
    process: Start, database: Database, retry_after: str | None, seconds: int
) -> None:
    one = process()
    await one.calls(100)
    assert await one.refuse(spent(retry_after)) == seconds
    assert await stored(database) == {SEARCH: (80, 100)}


@pytest.mark.gen_test
async def test_another_app_of_the_account_that_spent_the_quota_teaches_nothing(
    process: Start, database: Database
) -> None:
    one = process()
    await one.calls(9)
    await one.refuse(spent("80000"))
    assert await stored(database) == {SEARCH: (300, None)}


@pytest.mark.gen_test
async def test_a_bucket_teaches_no_other_and_a_client_id_no_other(
    process: Start, clock: Clock
) -> None:
    await process().calls(20)
    await process().refuse(spent("80000"))
    clock.forward(days=2)
    assert await process().calls(1000) == 16
    assert await process().calls(1000, bucket="/artists") == 450
    assert await process(app="another-app").calls(1000) == 300


@pytest.mark.gen_test
async def test_what_was_learnt_without_a_database_is_used_at_once_and_stored_later(
    database: Database, clock: Clock, process: Start
) -> None:
    alone = Process(limiter_in_memory(clock, 500))
    await alone.calls(50)
    await alone.refuse(spent("80000"))
    assert alone.limiter.limit(SEARCH, "interactive") == 40
    alone.limiter.learn({SEARCH: await database.run(STORE.read, SEARCH, clock())})
    assert alone.limiter.limit(SEARCH, "interactive") == 40, "the database knows nothing of it yet"
    alone.limiter._database = database
    await alone.limiter.save()
    assert await stored(database) == {SEARCH: (40, 50)}
    clock.forward(hours=26)
    assert await process().calls(100) == await alone.calls(100) + 40 == 40


@pytest.mark.gen_test
async def test_a_database_that_is_lost_during_the_refused_call_gets_what_it_taught_afterwards(
    database: Database, clock: Clock, process: Start
) -> None:
    one = process()
    await one.calls(50)
    away = limiter_in_memory(clock)._database

    async def refused() -> Response:
        one.limiter._database = away
        return spent("80000")

    with pytest.raises(RateLimited):
        await one.limiter.call(refused, SEARCH, "background")
    assert await stored(database) == {SEARCH: (300, None)}
    assert one.limiter.limit(SEARCH, "interactive") == 40
    assert await one.calls(1) == 0
    one.limiter._database = database
    await one.limiter.save()
    assert await stored(database) == {SEARCH: (40, 50)}
    assert await process().calls(1) == 0


@pytest.mark.gen_test
async def test_hosts_whose_clocks_differ_keep_the_ceiling(
    database: Database, clock: Clock, process: Start
) -> None:
    """A day apart, either way, is more than any host should be."""
    behind = Process(RateLimiter(database, APP, 500, lambda: clock() - timedelta(days=1)))
    await process().calls(50)
    await process().refuse(spent("80000"))
    assert await behind.calls(100) == 0
    for _ in range(4):
        clock.forward(hours=30)
        assert await behind.calls(100) + await process().calls(100) <= 40
    assert await stored(database) == {SEARCH: (40, 50)}


@pytest.mark.gen_test
async def test_of_two_processes_that_learn_at_once_the_lower_ceiling_stays(
    database: Database, clock: Clock
) -> None:
    one, two = (Process(limiter_in_memory(clock, 500)) for _ in range(2))
    for each, number in ((one, 50), (two, 100)):
        await each.calls(number)
        await each.refuse(spent("80000"))
        each.limiter._database = database
    await asyncio.gather(one.limiter.save(), two.limiter.save())
    assert (await stored(database))[SEARCH][0] == 40


@pytest.mark.parametrize("days", [3650, -3650])
@pytest.mark.gen_test
async def test_a_clock_that_was_years_off_raises_a_ceiling_once_at_most(
    process: Start, clock: Clock, database: Database, days: int
) -> None:
    one, right = process(), clock.moment
    await one.calls(100)
    await one.refuse(spent("80000"))
    clock.moment = right + timedelta(days=days)
    await one.calls(3)
    await process().calls(3)
    clock.moment = right + timedelta(days=3)
    assert await process().calls(500) <= 88
    assert (await stored(database))[SEARCH] == (88, 100)
    clock.forward(days=6, hours=23)
    assert await process().calls(500) == 88
    clock.forward(days=2)
    assert await process().calls(500) == 96


@pytest.mark.gen_test
async def test_a_refusal_under_a_clock_that_is_put_right_afterwards_still_limits(
    process: Start, clock: Clock
) -> None:
    one, right = process(), clock.moment
    clock.forward(days=400)
    await one.calls(100)
    await one.refuse(spent("80000"))
    clock.moment = right
    assert await process().calls(100) == 0
    clock.forward(days=2)
    assert await process().calls(100) == 80


@pytest.mark.gen_test
async def test_a_setting_that_is_lowered_and_raised_again_leaves_the_ceiling_as_it_was(
    process: Start, clock: Clock
) -> None:
    assert await process(per_day=50).calls(500) == 50
    clock.forward(days=2)
    assert await process(per_day=500).calls(500) == 300
    clock.forward(days=2)
    assert await process(per_day=20).calls(500) == 20


@pytest.mark.gen_test
async def test_tables_without_ceilings_open_no_gate_and_stop_nothing(
    process: Start, database: Database
) -> None:
    await database.run(lambda session: session.execute(text("DROP TABLE ceilings")))
    assert await process().calls(500) == 300


@pytest.mark.gen_test
async def test_followed_artists_use_a_third_of_search_in_all_processes_together(
    process: Start, clock: Clock
) -> None:
    one, two = process(), process()
    assert await one.calls(60, purpose="following") == 60
    with pytest.raises(QuotaSpent, match="100 calls of 100"):
        assert await two.calls(500, purpose="following") == 40
        await two.call(purpose="following")
    assert await one.calls(500, purpose="background") == 170
    clock.forward(hours=26)
    assert await one.calls(250, purpose="background") == 250
    assert await two.calls(500, purpose="following") == 20, "what syncs have left"


@pytest.mark.gen_test
async def test_the_share_of_followed_artists_is_kept_when_a_clock_is_put_back(
    process: Start, clock: Clock, database: Database
) -> None:
    right = clock.moment
    clock.forward(days=30)
    await process().calls(50)
    await process().calls(40, purpose="following")
    clock.moment = right
    usage = await database.run(STORE.read, SEARCH, clock())
    assert sum(usage.calls_by_hour.values()) == 90
    assert sum(usage.following_by_hour.values()) == 40
    assert max(usage.following_by_hour) == max(usage.calls_by_hour) <= clock()
    assert await process().calls(500, purpose="following") == 60


@pytest.mark.gen_test
async def test_calls_for_followed_artists_made_without_a_database_are_stored_later(
    database: Database, clock: Clock
) -> None:
    alone = Process(limiter_in_memory(clock, 500))
    await alone.calls(30, purpose="following")
    await alone.calls(20)
    alone.limiter._database = database
    await alone.limiter.save()
    usages = await database.run(STORE.read_all, clock())
    assert sum(usages[SEARCH].calls_by_hour.values()) == 50
    assert sum(usages[SEARCH].following_by_hour.values()) == 30


@pytest.mark.gen_test
async def test_only_old_ceilings_of_buckets_no_longer_used_are_deleted(
    process: Start, clock: Clock, database: Database
) -> None:
    await process().calls(1, bucket="/old")
    clock.forward(days=40)
    await process().calls(1, bucket="/newer")
    clock.forward(days=60)
    await database.run(usage_store.prune, clock())
    assert set(await stored(database)) == {"/newer"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (orjson.dumps(SPENT), "QUOTA_EXCEEDED"),
        (b"Too many requests", ""),
        (b"", ""),
        (b"[]", ""),
        (b'{"error": "QUOTA_EXCEEDED"}', ""),
        (b'{"error": {"reason": ["QUOTA_EXCEEDED"]}}', ""),
        (b'{"error": {"status": 429}}', ""),
    ],
)
def test_the_code_of_a_refusal_is_read_or_empty(body: bytes, code: str) -> None:
    assert Response(429, HTTPHeaders(), body).code() == code


# Connections that are cut


@pytest.mark.gen_test
async def test_a_series_of_cut_connections_pauses_the_bucket_for_ten_minutes_in_all_processes(
    process: Start, clock: Clock
) -> None:
    one = process()
    for _ in range(CUTS_IN_A_ROW - 1):
        with pytest.raises(ConnectionCut):
            await one.call(ConnectionCut("reset"))
    with pytest.raises(RateLimited, match="Spotify cut 5 connections in a row") as caught:
        await one.call(ConnectionCut("reset"))
    assert (caught.value.seconds, caught.value.bucket) == (600, SEARCH)
    assert await one.calls(1) + await process().calls(1) == 0
    assert await one.calls(1, bucket="/artists") == 1
    clock.forward(seconds=600)
    assert await process().calls(1) + await one.calls(1) == 2
    with pytest.raises(ConnectionCut):
        await one.call(ConnectionCut("reset"))


@pytest.mark.gen_test
async def test_an_answer_ends_the_series_and_a_time_out_is_no_part_of_it(process: Start) -> None:
    one = process()
    for _ in range(3):
        for _ in range(CUTS_IN_A_ROW - 1):
            with pytest.raises(ConnectionCut):
                await one.call(ConnectionCut("reset"))
        with pytest.raises(SpotifyTimeout):
            await one.call(SpotifyTimeout("20 s"))
        await one.call(Response(502, HTTPHeaders(), b""))
    assert await one.calls(1) == 1


@pytest.mark.parametrize("purpose", ["login", "tokens"])
@pytest.mark.gen_test
async def test_cut_connections_pause_no_login(process: Start, purpose: str) -> None:
    one = process()
    for _ in range(3 * CUTS_IN_A_ROW):
        with pytest.raises(ConnectionCut):
            await one.call(ConnectionCut("reset"), "/me", purpose)
    assert await one.calls(1, bucket="/me", purpose=purpose) == 1


@pytest.mark.gen_test
async def test_cut_connections_do_not_shorten_a_longer_pause(process: Start, clock: Clock) -> None:
    one, released, asked = process(), asyncio.Event(), 0

    async def cut() -> Response:
        nonlocal asked
        asked += 1
        await released.wait()
        raise ConnectionCut("reset")

    late = [
        asyncio.create_task(one.limiter.call(cut, SEARCH, "background"))
        for _ in range(CUTS_IN_A_ROW)
    ]
    await until(lambda: asked == CUTS_IN_A_ROW)
    await process().refuse(limited("7000"))
    released.set()
    await asyncio.gather(*late, return_exceptions=True)
    clock.forward(seconds=6999)
    assert await process().calls(1) == 0
