"""Whatever Spotify does: nothing is lost, doubled or falsely gone, and nothing asked in a pause.

Hypothesis writes the scripts: faults, releases, withdrawals, restarts and time, a sync after each.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from tornado.ioloop import IOLoop

from models import Album, Base, Listing
from server.config.settings import Settings
from server.database.executor import Database
from server.standin import AppKind, Catalogue, StandIn
from tests.support.clock import Clock
from tests.support.settings import MakeSettings
from tests.system.faults.simulation import Record, Simulation

ANYWHERE = [
    "502", "503", "500", "504", "cut", "truncated", "cut-json", "not-json", "empty", "garbage",
    "token-missing", "token-expired", "token-invalid", "no-token", "huge", "gzip-bomb",
    "bad-limit", "bad-bearer", "too-deep", "stall", "drip", "slow", "premium", "unregistered",
    "check-settings", "scope", "forbidden", "not-found", "gone",
]  # fmt: skip
IN_PAGES = [
    "null-items", "endless-next", "circular-next", "foreign-next", "short-page", "empty-page",
    "lying-total", "repeated", "lone-surrogate", "invalid-utf8", "control-character",
    "byte-order-mark", "not-a-number", "huge-number",
]  # fmt: skip
LIMITS = ["too-many-requests", "rate-limit", "quota-exceeded"]
PATHS = st.sampled_from(["/v1/", "/v1/search", "/v1/browse/new-releases", "/v1/artists"])
TIMES = st.integers(1, 12)
RETRY_AFTER = st.sampled_from(
    [None, 0, 11, 35, 13749, 86236, 10**9, -5, "soon", "Fri, 20 Nov 2026 09:00:00 GMT"]
)

FAULT = st.one_of(
    st.tuples(
        st.just("fault"), st.sampled_from(ANYWHERE + IN_PAGES), PATHS, TIMES, st.integers(0, 5)
    ),
    st.tuples(st.just("limit"), st.sampled_from(LIMITS), PATHS, RETRY_AFTER),
)
STEP = st.one_of(
    FAULT,
    st.tuples(st.just("publish"), st.integers(1, 30)),
    st.tuples(st.just("withdraw"), st.integers(0, 99)),
    st.tuples(st.just("wait"), st.integers(1, 60)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("behave")),
    st.tuples(st.just("kind"), st.sampled_from(list(AppKind))),
)
SCRIPT = st.lists(STEP, min_size=1, max_size=14)  # under a day, so that no doubt becomes a proof
START = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
TWICE = text("""
    SELECT album
    FROM (SELECT album, kind, lag(kind, 1, 'gone') OVER (PARTITION BY album ORDER BY seq) AS before
          FROM changes WHERE kind IN ('added', 'gone')) AS told
    WHERE kind = before
""")  # came though it was there, or went though it was not


class Play:
    """Plays a script on a stand-in and a server, with a sync after every step."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    async def act(self, step: tuple[Any, ...]) -> None:
        simulation, standin = self.simulation, self.simulation.standin
        match step:
            case ("fault", name, path, times, after):
                standin.misbehave(name, path=path, times=times, after=after, seconds=2)
            case ("limit", name, path, retry_after):
                standin.misbehave(name, path=path, retry_after=retry_after)
            case ("publish", number):
                simulation.publish(number)
            case ("withdraw", place):
                albums = standin.catalogue.albums
                if place < len(albums):
                    del albums[place]
            case ("wait", minutes):
                simulation.clock.forward(minutes=minutes)
            case ("restart",):
                await simulation.restart()
            case ("behave",):
                standin.behave()
            case ("kind", kind):
                standin.kind = kind

    async def run(self, script: list[tuple[Any, ...]]) -> None:
        await self.simulation.sync()
        for step in script:
            await self.act(step)
            before = await self.stored()
            await self.simulation.sync()
            await self.simulation.look_up(most=3)
            assert before <= await self.stored(), "what is stored stays"
            await self.judge()
        await self.recover()

    async def stored(self) -> set[str]:
        return set(await self.simulation.all(select(Album.spotify_id)))

    async def judge(self) -> None:
        """What has to hold at any moment."""
        simulation = self.simulation
        assert simulation.calls_in_pauses() == []
        assert simulation.record.falsely_gone == []
        assert await simulation.all(TWICE) == []
        page = await simulation.answer()
        ids = [artist.spotify_id for artist in page.items]
        assert len(ids) == len(set(ids)) == page.count

    async def recover(self) -> None:
        """When Spotify behaves again, all that it lists is here and no failure is left."""
        simulation = self.simulation
        simulation.standin.behave()
        simulation.transport.wait(20)
        simulation.clock.forward(hours=49)
        for _ in range(3):
            report = await simulation.sync()
            simulation.clock.forward(hours=1)
        assert report.outcome == "complete", report.error
        assert simulation.listed(report.source) <= await self.stored()
        opened = select(Album.spotify_id).join(Listing).where(Listing.until.is_(None))
        assert simulation.listed(report.source) <= set(await simulation.all(opened))
        await self.judge()


def _empty(session: Session) -> None:
    names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    session.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))


async def play(
    script: list[tuple[Any, ...]], database: Database, make_settings: Callable[..., Settings]
) -> Record:
    clock = Clock(START)
    catalogue = Catalogue.generate(today=clock().date(), size=45, quirks=False)
    standin = StandIn(
        kind=AppKind.RESTRICTED, clock=clock, catalogue=catalogue, calls_kept=100_000, seed=1
    )
    standin.start()
    await database.run(_empty)
    settings = make_settings(standin, quota_per_day=5000)
    simulation = Simulation(standin, database, settings, clock, transport_seconds=0.25)
    try:
        await Play(simulation).run(script)
        return simulation.record
    finally:
        await simulation.stop()
        await standin.stop()


@pytest.mark.slow
def test_whatever_spotify_does_nothing_is_lost_and_nothing_asked_in_vain(
    io_loop: IOLoop, database: Database, make_settings: MakeSettings, long: bool
) -> None:
    totals: Counter[str] = Counter()

    @settings(
        max_examples=400 if long else 3,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        derandomize=not long,
    )
    @given(SCRIPT)
    def check(script: list[tuple[Any, ...]]) -> None:
        record = io_loop.run_sync(lambda: play(script, database, make_settings), timeout=120)
        totals.update(record.outcomes, scripts=1, steps=len(script), pauses=len(record.pauses))
        totals.update(released=len(record.published))

    check()
    print(
        f"\n{totals['scripts']} scripts of {totals['steps']} steps: {totals['complete']} syncs "
        f"complete, {totals['partial']} partial, {totals['failed']} failed; {totals['pauses']} "
        f"pauses, 0 calls in them; {totals['released']} released, 0 lost, 0 twice, 0 falsely gone"
    )
