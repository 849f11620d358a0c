"""A Spotify whose ceilings nobody knows: one refusal teaches each, whatever its pauses are like."""

from datetime import timedelta

import pytest
from sqlalchemy import select

import models
from server.database.executor import Database
from server.standin import AppKind
from server.standin.faults.quotas import PAUSE_MODELS, PauseModel
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.system.faults.simulation import Simulation

pytestmark = pytest.mark.slow

HIDDEN = 20  # calls to search in 24 hours; a sync takes one
FIRST = 0.8 * HIDDEN


async def days_of_syncs(simulation: Simulation, days: float) -> None:
    """Sync whenever a sync is due."""
    end = simulation.clock() + timedelta(days=days)
    while simulation.clock() < end:
        await simulation.tick()
        wait = simulation.syncer.schedule.seconds_left()
        simulation.clock.forward(seconds=max(wait, 0) + 1)


@pytest.mark.parametrize("pause_model", PAUSE_MODELS)
@pytest.mark.gen_test(timeout=120)
async def test_one_lock_out_teaches_the_ceiling_and_no_other_follows(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
    pause_model: PauseModel,
) -> None:
    standin = start_standin(
        albums(8),
        kind=AppKind.RESTRICTED,
        clock=clock,
        quota={"/search": HIDDEN},
        pause_model=pause_model,
        calls_kept=100_000,
    )
    settings = make_settings(standin, sync_source="search", sync_max_releases=10)
    simulation = Simulation(standin, database, settings, clock)
    closing(simulation.stop)
    await days_of_syncs(simulation, 1.1)
    assert (standin.lockouts, standin.prolonged) == (1, 0)
    (ceiling,) = [
        each for each in await simulation.all(select(models.Ceiling)) if each.bucket == "/search"
    ]
    assert (ceiling.per_day, ceiling.refused_calls) == (FIRST, HIDDEN)
    await simulation.restart()
    since = clock()
    await days_of_syncs(simulation, 1)
    calls = [call for call in standin.calls if call.path == "/v1/search" and call.at > since]
    assert (standin.lockouts, standin.prolonged) == (1, 0)
    assert simulation.calls_in_pauses() == []
    assert 0.7 * FIRST <= len(calls) <= FIRST
    assert simulation.most_calls_in_a_day()["/search"] <= HIDDEN + 1


@pytest.mark.gen_test(timeout=60)
async def test_reset_connections_pause_syncs_for_ten_minutes_and_no_longer(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
) -> None:
    standin = start_standin(albums(8), kind=AppKind.RESTRICTED, clock=clock, burst=10)
    settings = make_settings(standin, sync_source="search", sync_max_releases=10)
    simulation = Simulation(standin, database, settings, clock)
    closing(simulation.stop)
    for _ in range(10):
        assert (await simulation.sync()).outcome == "complete"
    reset_at = clock()
    for _ in range(5):
        assert (await simulation.sync()).outcome == "failed"
    (pause,) = simulation.record.pauses
    assert (pause.bucket, pause.until - pause.since) == ("/search", timedelta(minutes=10))
    calls = len(standin.calls)
    assert (await simulation.sync()).outcome == "failed"
    assert len(standin.calls) == calls, "not asked in the pause"
    clock.moment = reset_at + timedelta(minutes=10, seconds=5)
    assert (await simulation.sync()).outcome == "complete"
