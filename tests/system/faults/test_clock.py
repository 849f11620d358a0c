"""The server's clock jumps by days, forward and back, and is put right; Spotify's does not."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import Album, Change
from server.config.settings import Settings
from server.database.executor import Database
from server.standin import AppKind, StandIn
from server.sync.retention import Retention
from tests.support.clock import Clock
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.system.faults.simulation import Simulation, new_app

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NONE = timedelta(0)
STEP = timedelta(minutes=10)
JUMPS = (DAY, NONE, -DAY, NONE, 100 * DAY, NONE, -100 * DAY, NONE, HOUR, -HOUR, 3 * DAY)


class WrongClock:
    """A clock that is `ahead` of the true one."""

    def __init__(self, truth: Clock) -> None:
        self._truth = truth
        self.ahead = NONE

    def __call__(self) -> datetime:
        return self._truth() + self.ahead


class Life:
    """Hours go by on the true clock, with all that the server does by its own."""

    def __init__(
        self, standin: StandIn, database: Database, settings: Settings, truth: Clock
    ) -> None:
        self.truth, self.wrong = truth, WrongClock(truth)
        self.simulation = Simulation(
            standin, database, settings, self.wrong, timer=lambda: truth().timestamp()
        )
        self._retention = Retention(database, self._nothing, 90 * DAY, self.wrong)

    async def _nothing(self) -> None:
        pass

    async def clear(self) -> None:
        """The hourly look for what is old, which may come before the next sync."""
        await self._retention.clear()

    async def go_on(self, time: timedelta) -> int:
        """A release every hour; how many complete syncs there were."""
        before, end = self.simulation.record.outcomes["complete"], self.truth() + time
        while self.truth() < end:
            await self.simulation.tick()
            if self.truth().minute < 10:
                await self.clear()
            self.truth.moment += STEP
            if self.truth().minute < 10:
                self.simulation.publish()
        return self.simulation.record.outcomes["complete"] - before


@pytest.fixture
def live(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
    long: bool,
) -> Callable[..., Life]:
    def start(kind: AppKind) -> Life:
        standin = new_app(start_standin, kind, clock, size=120 if long else 45)
        life = Life(standin, database, make_settings(standin), clock)
        closing(life.simulation.stop)
        return life

    return start


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(AppKind)[: 2 if os.environ.get("FRESHET_SOAK") else 1])
@pytest.mark.gen_test(timeout=1800)
async def test_a_clock_that_jumps_by_days_makes_no_storm_and_loses_nothing(
    live: Callable[..., Life], kind: AppKind, long: bool
) -> None:
    life = live(kind)
    simulation = life.simulation
    hours, made = (24 if long else 1), []
    await life.go_on(min(hours, 4) * HOUR)
    for ahead in JUMPS:
        life.wrong.ahead = ahead
        await life.clear()
        made.append(await life.go_on(hours * HOUR))
        if long:
            await simulation.restart()
    life.wrong.ahead = NONE
    await life.go_on(2 * HOUR)
    await simulation.sync()
    calls = simulation.most_calls_in_a_day()
    deleted = await simulation.all(select(Change.album).where(Change.kind == "deleted"))
    stored = set(await simulation.all(select(Album.spotify_id)))
    missed = simulation.listed("search") - stored
    print(
        f"\n{kind.value}: {made} syncs in the {hours} h after each jump, most calls in 24 h "
        f"{dict(calls)}; {len(simulation.record.falsely_gone)} falsely gone, "
        f"{len(deleted)} deleted, {len(missed)} missed"
    )
    assert min(made) >= hours * 0.8, "every half hour, or as the quota allows"
    assert max(made) <= hours * 2 + 2
    assert max(calls.values()) <= 500
    assert simulation.standin.lockouts == 0
    assert simulation.record.falsely_gone == []
    assert not set(deleted) & simulation.listed("search")
    assert len(deleted) <= hours, "those that left the list while the clock was months behind"
    assert not missed
    assert set(simulation.record.published) <= stored | set(deleted)


def wrong_ways() -> list[Any]:
    """How far ahead, and whether the server is restarted then; by turns, where time is short."""
    every = [(ahead, restarted) for ahead in (DAY, -DAY, 30 * DAY) for restarted in (True, False)]
    chosen = every if os.environ.get("FRESHET_SOAK") else every[::3] + every[4:5]
    return [
        pytest.param(*each, id=f"{each[0]}-{'restarted' if each[1] else 'running'}")
        for each in chosen
    ]


@pytest.mark.parametrize(("ahead", "restarted"), wrong_ways())
@pytest.mark.gen_test(timeout=120)
async def test_a_pause_lasts_no_longer_because_the_clock_was_wrong_when_it_began(
    live: Callable[..., Life], ahead: timedelta, restarted: bool
) -> None:
    life = live(AppKind.EXTENDED)
    simulation = life.simulation
    await life.go_on(HOUR)
    life.wrong.ahead = ahead
    simulation.standin.misbehave("too-many-requests", times=None, retry_after=1800)
    await life.go_on(HOUR)
    assert len({pause.bucket for pause in simulation.record.pauses}) == 2
    simulation.standin.behave()
    life.wrong.ahead = NONE
    if restarted:
        await simulation.restart()
    assert await life.go_on(2 * HOUR) >= 2
    assert simulation.standin.prolonged == 0
