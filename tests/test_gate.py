"""The one gate to Spotify: no call in a pause, none beyond the quota, whoever asks, ever."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs
from tornado.httputil import HTTPHeaders

from models import Cooldown, Quota
from server.database import Database
from server.errors import Paused, QuotaSpent, RateLimited
from server.spotify.cooldown import LONGEST_PAUSE
from server.spotify.gate import Gate
from server.spotify.transport import Response
from tests.conftest import Clock
from tests.gates import gate_in_memory

SEARCH = "/search"
OK = Response(200, HTTPHeaders(), b"{}")
LIMITED = Response(429, HTTPHeaders({"Retry-After": "86236"}), b"Too many requests")
UNNAMED = Response(429, HTTPHeaders(), b'{"error": {"message": "API rate limit exceeded"}}')


class Caller:
    """Goes through a gate, and counts the calls that were really made."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.made = 0

    async def call(
        self, answer: Response = OK, bucket: str = SEARCH, purpose: Any = "background"
    ) -> Response:
        async def make() -> Response:
            self.made += 1
            return answer

        return await self.gate.through(make, bucket, purpose)

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
    return lambda per_day=500: Caller(Gate(database, per_day, clock))


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


@pytest.mark.gen_test
async def test_in_any_24_hours_there_are_never_more_calls_than_the_quota(
    caller: Make, clock: Clock
) -> None:
    one, times = caller(per_day=40), []
    for _ in range(400):
        if await one.many(1):
            times.append(clock())
        clock.forward(minutes=17)
    assert len(times) > 100
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
    assert seconds[-1] == LONGEST_PAUSE
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
    one, released = caller(), asyncio.Event()

    async def late() -> Response:
        await released.wait()
        return OK

    slow = asyncio.create_task(one.gate.through(late, SEARCH, "background"))
    await asyncio.sleep(0.05)
    await one.many(1, answer=LIMITED)
    released.set()
    await slow
    assert await one.many(3) + await caller().many(3) == 0


@pytest.mark.gen_test
async def test_nor_does_it_while_the_database_is_away(clock: Clock) -> None:
    alone, released = Caller(gate_in_memory(clock)), asyncio.Event()

    async def late() -> Response:
        await released.wait()
        return OK

    slow = asyncio.create_task(alone.gate.through(late, SEARCH, "background"))
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
        return Response(429, HTTPHeaders({"Retry-After": "11"}), b"Too many requests")

    slow = asyncio.create_task(one.gate.through(short, SEARCH, "background"))
    await asyncio.sleep(0.05)
    await two.many(1, answer=LIMITED)
    first.set()
    with pytest.raises(RateLimited):
        await slow
    clock.forward(seconds=86235)
    assert await caller().many(3) == 0


@pytest.mark.gen_test
async def test_a_database_that_is_away_opens_no_gate(clock: Clock) -> None:
    alone = Caller(gate_in_memory(clock, per_day=20))
    assert await alone.many(30) == 18
    await alone.many(1, bucket="/me", answer=LIMITED)
    clock.forward(hours=20)
    assert await alone.many(3, bucket="/me") == 0


@pytest.mark.gen_test
async def test_what_a_lost_database_missed_is_written_when_it_is_back(
    database: Database, clock: Clock, caller: Make
) -> None:
    astray = Caller(gate_in_memory(clock))
    await astray.many(7)
    await astray.many(1, answer=LIMITED, bucket="/me")
    astray.gate._database = database
    await astray.gate.save()
    await astray.gate.save()
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
async def test_a_pause_of_a_clock_that_ran_ahead_ends_two_days_after_it_is_put_right(
    caller: Make, clock: Clock, database: Database
) -> None:
    right = clock.moment
    clock.forward(days=400)
    await caller().many(1, answer=LIMITED)
    clock.moment = right
    assert await caller().many(5) == 0
    clock.forward(hours=48, seconds=1)
    assert await caller().many(1) == 1
    rows = await database.run(lambda session: session.scalars(select(Cooldown)).all())
    assert rows == []


@pytest.mark.gen_test
async def test_tables_of_another_version_open_no_gate_and_stop_nothing(
    database: Database, clock: Clock, caller: Make
) -> None:
    await database.run(lambda session: session.execute(text("DROP TABLE quota")))
    assert await caller(per_day=20).many(30) == 18


def test_the_clock_of_these_tests_is_in_the_middle_of_an_hour(clock: Clock) -> None:
    assert clock() == datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
