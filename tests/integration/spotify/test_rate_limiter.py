"""The one gate to Spotify: no call in a pause, none beyond the quota, whoever asks, ever."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs
from tornado.httputil import HTTPHeaders

import models
from models import Quota
from server.database.executor import Database
from server.errors import Paused, QuotaSpent, RateLimited
from server.spotify.limits import usage_store
from server.spotify.limits.budget import BucketUsage
from server.spotify.limits.cooldown import MAX_COOLDOWN, Cooldown
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.transport import Response
from tests.support.clock import Clock
from tests.support.rate_limiters import APP, STORE, limiter_in_memory
from tests.support.waiting import until

SEARCH = "/search"
OK = Response(200, HTTPHeaders(), b"{}")
LIMITED = Response(429, HTTPHeaders({"Retry-After": "86236"}), b"Too many requests")
SHORT = Response(429, HTTPHeaders({"Retry-After": "11"}), b"Too many requests")
UNNAMED = Response(429, HTTPHeaders(), b'{"error": {"message": "API rate limit exceeded"}}')


class Caller:
    """Goes through a gate, and counts the calls that were really made."""

    def __init__(self, limiter: RateLimiter) -> None:
        self.limiter = limiter
        self.made = 0

    async def call(
        self, answer: Response = OK, bucket: str = SEARCH, purpose: Any = "background"
    ) -> Response:
        async def make() -> Response:
            self.made += 1
            return answer

        return await self.limiter.call(make, bucket, purpose)

    async def many(self, number: int, **options: Any) -> int:
        """How many of so many calls were let through."""
        before = self.made
        for _ in range(number):
            try:
                await self.call(**options)
            except Paused:
                continue
        return self.made - before


Make = Callable[..., Caller]


@pytest.fixture
def caller(database: Database, clock: Clock) -> Make:
    """A caller in a process of its own: only the database is shared."""
    return lambda per_day=500, app=APP: Caller(RateLimiter(database, app, per_day, clock))


@pytest.mark.gen_test
async def test_a_day_has_so_many_calls_and_a_tenth_of_them_is_kept_for_people(caller: Make) -> None:
    one = caller(per_day=20)
    assert await one.many(30) == 18
    with pytest.raises(QuotaSpent, match="18 calls of 18"):
        await one.call()
    assert await one.many(30, purpose="interactive") == 2


@pytest.mark.gen_test
async def test_strangers_who_log_in_cannot_use_up_the_renewals_of_tokens(caller: Make) -> None:
    assert await caller(per_day=20).many(50, bucket="/api/token", purpose="tokens") == 50


@pytest.mark.gen_test
async def test_every_bucket_has_its_own_day(caller: Make) -> None:
    one = caller(per_day=20)
    assert await one.many(30) == 18
    assert await one.many(30, bucket="/artists") == 18


@pytest.mark.gen_test
async def test_what_is_spent_comes_back_a_day_later_and_not_before(
    caller: Make, clock: Clock
) -> None:
    one = caller(per_day=20)
    await one.many(20)
    with pytest.raises(QuotaSpent) as caught:
        await one.call()
    clock.forward(seconds=caught.value.seconds - 1)
    assert await one.many(5) == 0
    clock.forward(seconds=1)
    assert await one.many(30) == 18


@pytest.mark.gen_test(timeout=60)
async def test_in_any_24_hours_there_are_never_more_calls_than_the_quota(
    caller: Make, clock: Clock, long: bool
) -> None:
    one, times = caller(per_day=40), []
    for _ in range(400 if long else 150):
        if await one.many(1):
            times.append(clock())
        clock.forward(minutes=17)
    assert len(times) > (100 if long else 50)
    for start in times:
        assert sum(start <= each < start + timedelta(hours=24) for each in times) <= 36


@pytest.mark.gen_test
async def test_two_processes_and_a_restart_share_the_count(caller: Make) -> None:
    one, two = caller(per_day=20), caller(per_day=20)
    assert await one.many(10) + await two.many(30) == 18
    assert await caller(per_day=20).many(5) == 0


@pytest.mark.gen_test
async def test_callers_at_the_same_moment_do_not_slip_past_the_count(caller: Make) -> None:
    callers = [caller(per_day=20) for _ in range(4)]
    await asyncio.gather(*(each.many(10) for each in callers))
    assert sum(each.made for each in callers) == 18


@pytest.mark.gen_test
async def test_a_spent_quota_is_told_once(caller: Make) -> None:
    one = caller(per_day=20)
    with capture_logs() as logs:
        await one.many(30)
    (line,) = [line for line in logs if line["event"] == "quota_spent"]
    assert (line["bucket"], line["calls"], line["log_level"]) == (SEARCH, 18, "warning")


@pytest.mark.gen_test
async def test_a_pause_is_kept_to_the_second_by_every_process_and_after_a_restart(
    caller: Make, clock: Clock
) -> None:
    one, two = caller(), caller()
    await two.call()
    with capture_logs() as logs:
        with pytest.raises(RateLimited, match="429 Too many requests") as caught:
            await one.call(LIMITED)
        assert (caught.value.seconds, caught.value.bucket) == (86236, SEARCH)
        assert await one.many(5) + await two.many(5) + await caller().many(5) == 0
        clock.forward(seconds=86235)
        assert await one.many(5) + await two.many(5) + await caller().many(5) == 0
    told = [line for line in logs if line["event"] == "rate_limited"]
    assert [(line["bucket"], line["seconds"]) for line in told] == [(SEARCH, 86236)]
    clock.forward(seconds=1)
    assert await caller().many(1) == 1


@pytest.mark.gen_test
async def test_a_pause_of_one_bucket_leaves_the_others_alone(caller: Make) -> None:
    one = caller()
    await one.many(1, answer=LIMITED)
    assert await one.many(3, bucket="/artists") == 3


@pytest.mark.gen_test
async def test_a_pause_that_names_no_time_is_a_quarter_of_an_hour_and_doubles_until_an_answer(
    caller: Make, clock: Clock
) -> None:
    seconds = []
    for _ in range(10):
        with pytest.raises(RateLimited) as caught:
            await caller().call(UNNAMED)
        seconds.append(caught.value.seconds)
        clock.forward(seconds=caught.value.seconds)
    assert seconds[:4] == [900, 1800, 3600, 7200]
    assert seconds[-1] == MAX_COOLDOWN
    await caller().call()
    with pytest.raises(RateLimited) as caught:
        await caller().call(UNNAMED)
    assert caught.value.seconds == 900


@pytest.mark.parametrize("status", [403, 404, 400])
@pytest.mark.gen_test
async def test_any_answer_ends_the_doubling_but_not_a_broken_service(
    caller: Make, clock: Clock, status: int
) -> None:
    one = caller()
    await one.many(1, answer=UNNAMED)
    clock.forward(minutes=15)
    await one.many(1, answer=Response(502, HTTPHeaders(), b""))
    with pytest.raises(RateLimited) as caught:
        await one.call(UNNAMED)
    assert caught.value.seconds == 1800
    clock.forward(minutes=30)
    await one.many(1, answer=Response(status, HTTPHeaders(), b""))
    with pytest.raises(RateLimited) as caught:
        await one.call(UNNAMED)
    assert caught.value.seconds == 900


@pytest.mark.gen_test
async def test_a_late_answer_does_not_end_a_pause_that_has_begun_meanwhile(caller: Make) -> None:
    one, asked, released = caller(), asyncio.Event(), asyncio.Event()

    async def late() -> Response:
        asked.set()
        await released.wait()
        return OK

    slow = asyncio.create_task(one.limiter.call(late, SEARCH, "background"))
    await asked.wait()
    await one.many(1, answer=LIMITED)
    released.set()
    await slow
    assert await one.many(3) + await caller().many(3) == 0


@pytest.mark.gen_test
async def test_nor_does_it_while_the_database_is_away(clock: Clock) -> None:
    alone, released = Caller(limiter_in_memory(clock)), asyncio.Event()

    async def late() -> Response:
        await released.wait()
        return OK

    slow = asyncio.create_task(alone.limiter.call(late, SEARCH, "background"))
    await asyncio.sleep(0)
    await alone.many(1, answer=LIMITED)
    released.set()
    await slow
    assert await alone.many(3) == 0


@pytest.mark.gen_test
async def test_a_shorter_pause_never_cuts_a_longer_one_short(
    caller: Make, clock: Clock, database: Database
) -> None:
    one, two = caller(), caller()
    first = asyncio.Event()

    async def short() -> Response:
        await first.wait()
        return SHORT

    slow = asyncio.create_task(one.limiter.call(short, SEARCH, "background"))
    await asyncio.sleep(0.05)
    await two.many(1, answer=LIMITED)
    first.set()
    with pytest.raises(RateLimited):
        await slow
    clock.forward(seconds=86235)
    assert await caller().many(3) == 0


@pytest.mark.gen_test
async def test_a_database_that_is_away_opens_no_gate(clock: Clock) -> None:
    alone = Caller(limiter_in_memory(clock, per_day=20))
    assert await alone.many(30) == 18
    await alone.many(1, bucket="/me", answer=LIMITED)
    clock.forward(hours=20)
    assert await alone.many(3, bucket="/me") == 0


@pytest.mark.gen_test
async def test_what_a_lost_database_missed_is_written_when_it_is_back(
    database: Database, clock: Clock, caller: Make
) -> None:
    astray = Caller(limiter_in_memory(clock))
    await astray.many(7)
    await astray.many(1, answer=LIMITED, bucket="/me")
    astray.limiter._database = database
    await astray.limiter.save()
    await astray.limiter.save()
    rows = await database.run(lambda session: session.scalars(select(Quota)).all())
    assert {row.bucket: row.calls for row in rows} == {SEARCH: 7, "/me": 1}
    assert await caller().many(3, bucket="/me") == 0


@pytest.mark.gen_test
async def test_calls_of_a_clock_that_ran_ahead_count_from_when_it_is_put_right(
    caller: Make, clock: Clock
) -> None:
    right = clock.moment
    clock.forward(days=400)
    assert await caller(per_day=20).many(18) == 18
    clock.moment = right
    assert await caller(per_day=20).many(5) == 0
    clock.forward(hours=25)
    assert await caller(per_day=20).many(5) == 5


@pytest.mark.gen_test
async def test_a_clock_that_is_put_back_by_a_day_frees_the_quota_hour_by_hour(
    caller: Make, clock: Clock
) -> None:
    for _ in range(24):
        assert await caller(per_day=53).many(2) == 2
        clock.forward(hours=1)
    clock.forward(days=-1)
    made = []
    for _ in range(24):
        clock.forward(hours=1)
        made.append(await caller(per_day=53).many(5))
    assert made == [0, 0, *[2] * 22]


@pytest.mark.gen_test
async def test_a_pause_of_a_clock_that_ran_ahead_begins_when_it_is_put_right(
    caller: Make, clock: Clock, database: Database
) -> None:
    right = clock.moment
    clock.forward(days=400)
    await caller().many(1, answer=LIMITED)
    clock.moment = right
    assert await caller().many(5) == 0
    clock.forward(seconds=86_237)
    assert await caller().many(1) == 1
    rows = await database.run(lambda session: session.scalars(select(models.Cooldown)).all())
    assert rows == []


@pytest.mark.gen_test
async def test_tables_of_another_version_open_no_gate_and_stop_nothing(
    database: Database, clock: Clock, caller: Make
) -> None:
    await database.run(lambda session: session.execute(text("DROP TABLE quota")))
    assert await caller(per_day=20).many(30) == 18


def test_the_clock_of_these_tests_is_in_the_middle_of_an_hour(clock: Clock) -> None:
    assert clock() == datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)


@pytest.mark.gen_test
async def test_a_pause_that_begins_while_the_database_is_waited_for_is_kept(
    caller: Make, database: Database
) -> None:
    """The late caller stands in the database's queue when the other one gets its 429."""
    one = caller()
    holding, let_go = threading.Event(), threading.Event()

    def hold(session: Any) -> None:
        usage_store._lock(session, SEARCH)
        holding.set()
        let_go.wait(5)

    entered, asked = asyncio.Event(), asyncio.Event()

    async def early() -> Response:
        entered.set()
        await asked.wait()
        return LIMITED

    first = asyncio.create_task(one.limiter.call(early, SEARCH, "background"))
    await entered.wait()
    held = asyncio.create_task(database.run(hold))
    await asyncio.get_running_loop().run_in_executor(None, holding.wait)
    late = asyncio.create_task(one.call())
    await asyncio.sleep(0.05)
    asked.set()
    await asyncio.sleep(0.05)
    let_go.set()
    await held
    with pytest.raises(RateLimited):
        await first
    with pytest.raises(RateLimited):
        await late
    assert one.made == 0


@pytest.mark.gen_test
async def test_calls_made_while_the_database_was_away_count_as_soon_as_it_is_back(
    database: Database, clock: Clock
) -> None:
    astray = Caller(limiter_in_memory(clock, per_day=20))
    assert await astray.many(15) == 15
    astray.limiter._database = database
    assert await astray.many(30) == 3


@pytest.mark.gen_test
async def test_two_savings_at_once_write_a_count_once(database: Database, clock: Clock) -> None:
    astray = Caller(limiter_in_memory(clock))
    await astray.many(7)
    astray.limiter._database = database
    await asyncio.gather(*(astray.limiter.save() for _ in range(3)))
    rows = await database.run(lambda session: session.scalars(select(Quota)).all())
    assert [row.calls for row in rows] == [7]


@pytest.mark.gen_test
async def test_a_pause_known_in_memory_begins_when_a_clock_ahead_is_put_right(
    caller: Make, clock: Clock
) -> None:
    one, right = caller(), clock.moment
    clock.forward(days=365)
    await one.many(1, answer=LIMITED)
    clock.moment = right
    assert await one.many(1) == 0
    clock.forward(seconds=86_237)
    assert await one.many(1) == 1


@pytest.mark.gen_test
async def test_a_pause_of_another_process_is_known_when_the_database_goes(
    caller: Make, database: Database, clock: Clock
) -> None:
    one, two = caller(), caller()
    await one.many(1, answer=LIMITED)
    two.limiter.learn(await database.run(STORE.read_all, clock()))
    two.limiter._database = limiter_in_memory(clock)._database
    assert await two.many(3) == 0


@pytest.mark.gen_test
async def test_a_pause_that_could_not_be_written_is_not_forgotten_for_what_the_database_says(
    clock: Clock,
) -> None:
    alone = Caller(limiter_in_memory(clock))
    await alone.many(1, answer=LIMITED)
    shorter = Cooldown(clock(), clock() + timedelta(seconds=11), "429")
    for usage in (BucketUsage(), BucketUsage(cooldown=shorter)):
        alone.limiter.learn({SEARCH: usage})
        clock.forward(seconds=12)
        assert await alone.many(1) == 0
    clock.forward(seconds=86236 - 24)
    assert await alone.many(1) == 1


@pytest.mark.gen_test
async def test_a_longer_pause_that_the_database_knows_of_is_kept(clock: Clock) -> None:
    alone = Caller(limiter_in_memory(clock))
    await alone.many(1, answer=SHORT)
    longer = Cooldown(clock(), clock() + timedelta(seconds=60), "429")
    alone.limiter.learn({SEARCH: BucketUsage(cooldown=longer)})
    clock.forward(seconds=59)
    assert await alone.many(1) == 0
    clock.forward(seconds=1)
    assert await alone.many(1) == 1


@pytest.mark.gen_test
async def test_an_answer_to_another_process_ends_the_doubling_here_as_well(
    caller: Make, clock: Clock
) -> None:
    one, two = caller(), caller()
    await one.many(1, answer=UNNAMED)
    clock.forward(minutes=15)
    await two.call()
    with pytest.raises(RateLimited) as caught:
        await one.call(UNNAMED)
    assert caught.value.seconds == 900


@pytest.mark.gen_test
async def test_a_pause_that_ended_while_the_database_was_away_is_never_written(
    database: Database, clock: Clock
) -> None:
    astray = Caller(limiter_in_memory(clock))
    await astray.many(1, answer=SHORT)
    clock.forward(seconds=11)
    await astray.call()
    astray.limiter._database = database
    await astray.limiter.save()
    assert await database.run(lambda session: session.scalars(select(models.Cooldown)).all()) == []


@pytest.mark.gen_test
async def test_a_pause_that_begins_while_an_earlier_one_is_written_is_written_as_well(
    database: Database, clock: Clock, caller: Make
) -> None:
    """The second 429 comes when the first one's pause stands in the database's queue."""
    astray = Caller(limiter_in_memory(clock))
    holding, asked, let_go = threading.Event(), asyncio.Event(), threading.Event()

    async def late() -> Response:
        await asked.wait()
        return LIMITED

    def hold(session: Any) -> None:
        usage_store._lock(session, SEARCH)
        holding.set()
        let_go.wait(5)

    slow = asyncio.create_task(astray.limiter.call(late, SEARCH, "background"))
    await asyncio.sleep(0)
    await astray.many(1, answer=SHORT)
    astray.limiter._database = database
    astray.limiter._unwritten.clear()  # lest it be those that wait
    held = asyncio.create_task(database.run(hold))
    await asyncio.get_running_loop().run_in_executor(None, holding.wait)
    saving = asyncio.create_task(astray.limiter.save())
    await waiting_for_a_lock(database)
    asked.set()
    await until(
        lambda: astray.limiter._unwritten_cooldowns[SEARCH].until > clock() + timedelta(days=0.9)
    )
    let_go.set()
    await held
    await saving
    with pytest.raises(RateLimited):
        await slow
    clock.forward(seconds=86235)
    assert await caller().many(1) == 0


async def waiting_for_a_lock(database: Database) -> None:
    """Wait until a transaction waits for another to let go of a bucket."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(30):
        while not await database.run(lambda session: session.scalar(waiting)):
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_another_app_starts_with_calls_of_its_own_and_without_pauses(
    caller: Make, clock: Clock
) -> None:
    first, second = caller(per_day=100), caller(per_day=100, app="another-app")
    assert await first.many(91) == 90
    assert await second.many(91) == 90
    clock.forward(hours=26)
    await first.many(1, answer=LIMITED)
    assert await first.many(1) == 0
    assert await second.many(1) == 1


@pytest.mark.gen_test
async def test_calls_and_pauses_from_before_client_ids_were_stored_count_for_every_app(
    caller: Make, clock: Clock
) -> None:
    unknown = caller(per_day=100, app="")
    assert await unknown.many(60) == 60
    for app in ("one-app", "another-app"):
        assert await caller(per_day=100, app=app).many(91) == 30
    clock.forward(hours=26)
    await unknown.many(1, answer=SHORT)
    last = caller(app="one-app")
    assert await last.many(1) == 0
    clock.forward(seconds=11)
    assert await last.many(1) == 1
