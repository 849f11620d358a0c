"""The jobs that only the leading process runs: syncs, artists' details, retention."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from server.database import advisory_lock
from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from server.database.leader_election import Leadership
from server.storage.sync_runs import SyncHistory
from server.sync.artist_details import ArtistDetailsFetcher
from server.sync.retention import Retention
from server.sync.syncer import Syncer
from server.tasks import Timers, attempt

SYNC_TICK = 1.0  # seconds between two looks whether a sync is due
DETAILS_TICK = 3.0  # seconds between two calls for artists' details
RETENTION_TICK = 3600.0  # seconds


class LeaderJobs:
    """Runs the jobs while this process leads; otherwise its schedule follows the leader's.

    `extra` are further jobs, each with the seconds from one start to the next.
    """

    def __init__(
        self,
        database: Database,
        syncer: Syncer,
        details: ArtistDetailsFetcher,
        retention: Retention,
        extra: Iterable[tuple[Callable[[], Awaitable[None]], float]] = (),
    ) -> None:
        self._syncer = syncer
        self._details = details
        self.leadership = Leadership(SessionLock(database, advisory_lock.LEADER), self._on_elected)
        self._first: asyncio.Task[None] | None = None
        self._timers = Timers(
            (self.leadership.only(work), seconds)
            for work, seconds in (
                (syncer.tick, SYNC_TICK),
                (details.tick, DETAILS_TICK),
                (retention.tick, RETENTION_TICK),
                *extra,
            )
        )

    async def run(self) -> None:
        """Stand for election and run the jobs while elected, until cancelled."""
        self._timers.start()
        try:
            await self.leadership.run()
        finally:
            await self._timers.stop()

    async def follow(self, history: SyncHistory, *, news: bool = False) -> None:
        """Adapt the schedule to syncs of other processes. Raises DatabaseError.

        `news` says that another process has just synced; without it, the leader's schedule stays.
        """
        if self._syncer.schedule.interval and (news or not self.leadership.leads):
            await self._syncer.follow(history)
        if news:
            self._details.wake()

    async def _on_elected(self) -> None:
        """Continue where the previous leader stopped: sync at once if a sync is due."""
        await attempt(self._syncer.resume)
        self._details.wake()
        self._first = asyncio.create_task(attempt(self._syncer.tick))
