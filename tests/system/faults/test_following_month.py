"""A month of somebody's artists with a Spotify whose ceilings nobody knows, and that fails often.

FRESHET_SOAK=1 lets a whole month go by and not just a day; -s shows the figures.
"""

import os
from datetime import timedelta

import pytest

from server.database.executor import Database
from server.standin import AppKind
from server.standin.faults.quotas import PauseModel
from tests.support.clock import Clock
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.tokens import LogIn
from tests.system.faults.fans import MEAN_A_YEAR
from tests.system.faults.followers import Followers, followed_by, releases_of
from tests.system.faults.simulation import fail_often

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("FRESHET_SOAK"))
ALBUMS = "/artists/{id}/albums"
HIDDEN = {ALBUMS: 100 if LONG else 30, "/search": 450, "*": 600}
Case = tuple[int, AppKind, PauseModel]
FEW: list[Case] = [(16, AppKind.EXTENDED, "prolonging")]
ALL: list[Case] = [
    (50, AppKind.RESTRICTED, "fixed"),
    (50, AppKind.EXTENDED, "prolonging"),
    (160, AppKind.EXTENDED, "prolonging"),
    (160, AppKind.RESTRICTED, "prolonging"),
    (500, AppKind.RESTRICTED, "fixed"),
    (500, AppKind.EXTENDED, "prolonging"),
]


@pytest.mark.parametrize(("artists", "kind", "pauses"), ALL if LONG else FEW)
@pytest.mark.gen_test(timeout=3600)
async def test_a_month_with_artists_whose_releases_are_all_noticed(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
    log_in: LogIn,
    artists: int,
    kind: AppKind,
    pauses: PauseModel,
) -> None:
    # The second number is long enough for each artist to be checked once more.
    days, after, mean = (30, 4 + artists / 45, MEAN_A_YEAR) if LONG else (0.5, 0.5, 1000)
    standin = followed_by(start_standin, kind, clock, artists, quota=HIDDEN, pause_model=pauses)
    fail_often(standin)
    settings = make_settings(standin, sync_interval=1800 if LONG else 14_400)
    simulation = Followers(standin, database, settings, clock)
    closing(simulation.stop)
    await log_in(standin)
    releases = releases_of(standin, days, mean)
    step = timedelta(minutes=15 if LONG else 40)
    await simulation.live_with(releases, days + after, step)
    figures = await simulation.figures(f"{artists} artists, {kind.value}, {pauses}", days + after)
    print(f"\n{figures}")  # for whoever wants to see them
    assert releases
    assert figures.missed == []
    stored, followed = await simulation.stored()
    assert stored == followed
    assert standin.prolonged == 0
    assert simulation.calls_in_pauses() == []
    assert simulation.record.falsely_gone == []
    assert all(number <= 1 for number in figures.lockouts.values())
    assert LONG or figures.lockouts == {ALBUMS: 1}, "which has taught how many calls are possible"
    for bucket, most in figures.calls.items():
        # Calls that fail count for us, but not for Spotify.
        assert most <= HIDDEN.get(bucket, HIDDEN["*"]) * 1.05
    assert max(figures.hours(listed=False)) <= (7 + artists * 2 / 72 + 1) * 24
