"""The leading process reads the plans of all wanted artists once, and holds them in memory."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from server.database.executor import Database
from server.following.plans import RELOAD_AFTER, Plans
from server.storage import following
from tests.support.clock import Clock

HER, HIS = "artist1", "artist2"


async def watch(database: Database, clock: Clock, artist: str) -> None:
    await database.run(following.choose, None, {artist: None}, "watched", clock())


@pytest.mark.gen_test
async def test_plans_are_read_once_for_all_who_need_them_until_it_is_time_again(
    database: Database, clock: Clock
) -> None:
    plans = Plans(database, (), clock)
    await watch(database, clock, HER)
    await asyncio.gather(plans.refresh(), plans.refresh())
    assert (plans.version, set(plans.schedules), plans.first_ones) == (1, {HER}, True)
    await watch(database, clock, HIS)
    await plans.refresh()
    assert plans.version == 1
    clock.moment += RELOAD_AFTER
    await plans.refresh()
    assert (plans.version, set(plans.schedules)) == (2, {HER, HIS})


@pytest.mark.gen_test
async def test_nothing_that_happens_during_a_read_is_forgotten(
    database: Database, clock: Clock
) -> None:
    plans = Plans(database, (), clock)
    await watch(database, clock, HER)
    await plans.refresh()
    plans.wake()
    reading = asyncio.ensure_future(plans.refresh())
    await asyncio.sleep(0)
    checked = replace(plans.schedules[HER], checked_at=clock() + timedelta(seconds=1))
    plans.take(checked)
    await reading
    assert (plans.version, plans.schedules[HER]) == (2, checked)
    assert (plans.last_check, plans.first_ones) == (checked.checked_at, False)
    plans.wake()
    reading = asyncio.ensure_future(plans.refresh())
    await asyncio.sleep(0)
    plans.wake()
    await reading
    assert plans.version == 4
