"""Weeks of syncs in no time: one clock for server and stand-in, and a record of what happened."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from structlog.testing import capture_logs

from models import Album, Change
from server.app.upstream import Upstream, make_details, make_syncer
from server.catalog.query import ArtistsQuery
from server.catalog.schemas import ArtistsPage
from server.config.settings import Settings
from server.database.executor import Database
from server.serving import payload
from server.spotify.limits.quota import bucket_of
from server.spotify.transport import Transport
from server.standin import AppKind, Catalogue, StandIn
from server.storage import snapshots
from server.sync.report import Report
from tests.support.clock import Clock

SOME_TIME = timedelta(seconds=3)
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("502", {}),
    ("503", {}),
    ("cut", {}),
    ("truncated", {}),
    ("cut-json", {}),
    ("not-json", {}),
    ("token-missing", {}),
    ("null-items", {}),
    ("short-page", {}),
    ("lying-total", {}),
    ("foreign-next", {}),
    ("too-many-requests", {"retry_after": 35}),
    ("rate-limit", {"retry_after": 11}),
    ("too-many-requests", {}),
]
RATE = 0.02


@dataclass(frozen=True)
class Pause:
    """A bucket that Spotify wanted to be left alone."""

    bucket: str
    since: datetime
    until: datetime


@dataclass
class Record:
    """What happened."""

    published: dict[str, datetime] = field(default_factory=dict)
    pauses: list[Pause] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    intervals: list[float] = field(default_factory=list)
    falsely_gone: list[str] = field(default_factory=list)


class Patience(Transport):
    """A transport that can be told to wait longer, for then a busy machine is no stall."""

    def wait(self, seconds: float) -> None:
        self._seconds = seconds


class Simulation:
    """A syncer and the details on a stand-in; `transport_seconds` is real time.

    `timer` tells seconds that go by whatever the clock says; without it the clock does.
    """

    def __init__(
        self,
        standin: StandIn,
        database: Database,
        settings: Settings,
        clock: Any,
        transport_seconds: float = 20,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self.standin, self.database, self.clock = standin, database, clock
        self.settings, self._transport_seconds = settings, transport_seconds
        self._timer = timer or (lambda: clock().timestamp())
        self.record = Record()
        self._seq = 0
        self._boot()

    def _boot(self) -> None:
        self.upstream = Upstream(self.settings, self.database, self.clock)
        self.upstream.transport.close()
        self.upstream.transport = self.transport = Patience(self._transport_seconds)
        self.syncer = make_syncer(
            self.settings,
            self.database,
            self.upstream,
            self._announce,
            self.clock,
            timer=self._timer,
        )
        self.details = make_details(
            self.database, self.upstream, self.syncer, self._announce, self.clock
        )

    async def _announce(self) -> None:
        self.details.wake()

    async def restart(self) -> None:
        """As a new process: nothing is left but the database."""
        await self.upstream.stop()
        self._boot()
        await self.syncer.resume()

    async def stop(self) -> None:
        await self.upstream.stop()

    def publish(self, number: int = 1) -> None:
        for _ in range(number):
            self.record.published[self.standin.publish()["id"]] = self.clock()

    async def sync(self) -> Report:
        """One sync, whether it is due or not."""
        with self._observed():
            report = await self.syncer.sync()
        await self._check(report)
        return report

    async def tick(self) -> None:
        """A sync if one is due."""
        before = self.syncer.schedule.seconds_left()
        if before > 0:
            return
        with self._observed() as logs:
            await self.syncer.tick()
        ended = next(line for line in logs if line["event"] in ("sync_finished", "sync_failed"))
        await self._check(Report(ended["outcome"], ended["source"], ended["calls"], 0))

    async def look_up(self, most: int) -> None:
        """Artists' details, three seconds apart, until the next sync is due or all are there."""
        for _ in range(most):
            if self.syncer.schedule.seconds_left() <= 3:
                return
            calls = len(self.standin.calls)
            with self._observed():
                await self.details.tick()
            self.clock.moment += SOME_TIME
            if len(self.standin.calls) == calls:
                return

    @contextmanager
    def _observed(self) -> Iterator[list[Any]]:
        with capture_logs() as logs:
            yield logs
        for line in logs:
            if line["event"] == "rate_limited":
                pause = Pause(line["bucket"], self.clock(), line["until"])
                self.record.pauses.append(pause)

    async def _check(self, report: Report) -> None:
        self.record.outcomes[report.outcome] += 1
        self.record.intervals.append(self.syncer.schedule.interval)
        changes = await self.all(select(Change).where(Change.seq > self._seq).order_by(Change.seq))
        self._seq = changes[-1].seq if changes else self._seq
        listed = self.listed(report.source)
        gone = [row.album for row in changes if row.kind == "gone"]
        self.record.falsely_gone += [each for each in gone if each in listed]

    def listed(self, source: str | None) -> set[str]:
        """What the stand-in has in the list of a source at this moment."""
        catalogue, today = self.standin.catalogue, self.standin.world.clock().date()
        items = catalogue.listing() if source == "new-releases" else catalogue.new(today)
        ids = {item["id"] for item in items if isinstance(item, dict)}
        return ids - catalogue.withheld

    async def all(self, statement: Any) -> list[Any]:
        return await self.database.run(lambda session: list(session.scalars(statement)))

    async def delays(self) -> dict[str, timedelta]:
        """How long after its publication each release was stored, pauses not counted."""
        rows = await self.database.run(
            lambda session: session.execute(select(Album.spotify_id, Album.created_at)).all()
        )
        stored = {row.spotify_id: row.created_at for row in rows}
        return {
            album: stored[album] - at - self._paused(at, stored[album])
            for album, at in self.record.published.items()
            if album in stored
        }

    def _paused(self, start: datetime, end: datetime) -> timedelta:
        """How much of a time some source was paused."""
        paused, moment = timedelta(0), start
        for pause in sorted(self.record.pauses, key=lambda each: each.since):
            since, until = max(pause.since, moment), min(pause.until, end)
            if until > since:
                paused, moment = paused + (until - since), until
        return paused

    def calls_in_pauses(self) -> list[Any]:
        """Calls that were made though Spotify had asked to be left alone."""
        return [
            call
            for call in self.standin.calls
            for pause in self.record.pauses
            if bucket_of(call.path.removeprefix("/v1")) == pause.bucket
            and pause.since < call.at < pause.until
        ]

    def most_calls_in_a_day(self) -> Counter[str]:
        """By bucket, the most calls in any 24 hours."""
        times: dict[str, list[datetime]] = {}
        for call in self.standin.calls:
            if call.path.startswith("/v1/"):
                times.setdefault(bucket_of(call.path.removeprefix("/v1")), []).append(call.at)
        day = timedelta(days=1)
        most: Counter[str] = Counter()
        for bucket, moments in times.items():
            first = 0
            for last, moment in enumerate(moments):
                while moments[first] <= moment - day:
                    first += 1
                most[bucket] = max(most[bucket], last - first + 1)
        return most

    async def answer(self) -> ArtistsPage:
        """What would be served now, held against its shape."""
        query, today = ArtistsQuery(release_limit=200), self.clock().date()
        snapshot = await self.database.run(snapshots.load, today)
        built = payload.build(snapshot, query, today=today, stale=False, max_age=15)
        return ArtistsPage.model_validate_json(built.body)


async def live(simulation: Simulation, days: float, die: random.Random) -> None:
    """Days go by: releases come at all hours, most of them on Fridays; syncs when they are due."""
    end = simulation.clock() + timedelta(days=days)
    while simulation.clock() < end:
        await simulation.tick()
        await simulation.look_up(most=20)
        wait = max(simulation.syncer.schedule.seconds_left(), 1)
        published_at = die.uniform(0, wait)
        friday = simulation.clock().weekday() == 4
        expected = wait / 3600 * (4 if friday else 1)
        simulation.clock.forward(seconds=published_at)
        simulation.publish(int(expected) + (die.random() < expected % 1))
        simulation.clock.forward(seconds=max(wait - published_at, 0) + die.uniform(0, 1))


async def settle(simulation: Simulation) -> None:
    """Let two more syncs come, to which nothing new is added."""
    for _ in range(2):
        simulation.clock.forward(seconds=max(simulation.syncer.schedule.seconds_left(), 0) + 1)
        await simulation.tick()


def new_app(start: Callable[..., StandIn], kind: AppKind, clock: Clock, size: int = 120) -> StandIn:
    """The stand-in as a new app meets Spotify: with 600 calls a day to each endpoint."""
    return start(
        kind=kind,
        clock=clock,
        catalogue=Catalogue.generate(today=clock().date(), size=size),
        quota=600,
        calls_kept=1_000_000,
    )


def fail_often(standin: StandIn) -> None:
    """Let two of a hundred calls fail, in every way that was seen."""
    for name, options in FAULTS:
        standin.misbehave(name, times=None, rate=RATE / len(FAULTS), **options)
