"""The stored calls, pauses and syncs of all processes, held in memory for status requests."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.database import advisory_lock
from server.database.executor import Database
from server.errors import DatabaseError
from server.spotify.limits.budget import BucketUsage
from server.spotify.limits.quota import used
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.types import ENDPOINTS, SOURCE_ORDER, Verdict
from server.storage import sync_runs
from server.storage.sync_runs import Day, SyncHistory
from server.tasks import attempt_each

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Bucket:
    """One endpoint: its calls of the last 24 hours, its ceiling `per_day`, and its pause.

    `forecast` is the number of calls in the coming 24 hours if nothing changes; `reason` is why
    Spotify asked for the pause. `refused_at` is when Spotify last refused a call because its quota
    was spent, after `refused_calls` calls; both are None if it never did.
    """

    name: str
    used: int
    left: int
    per_day: int
    forecast: int
    paused_until: datetime | None
    reason: str | None
    refused_at: datetime | None = None
    refused_calls: int | None = None


class UpstreamStatus:
    """What the database holds about Spotify's limits and past syncs, as of the last `load`.

    No request reads a table. `usage` has the calls and the pause of each endpoint, `history` what
    past syncs have left, `days` the syncs per day of the last 30 days, None until the database has
    answered. `syncing` says whether any process was syncing. `now` is the wall clock.
    """

    def __init__(
        self,
        database: Database,
        limiter: RateLimiter,
        now: Callable[[], datetime],
        markets: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._limiter = limiter
        self._markets = markets
        self.now = now
        self.usage: dict[str, BucketUsage] = {}
        self.history = SyncHistory({})
        self.days: tuple[Day, ...] | None = None
        self._days_of: SyncHistory | None = None  # the history when `days` were read
        self.syncing = False

    async def load(self) -> None:
        """Read each part from the database; a part that cannot be read stays as it was.

        Raises the first DatabaseError once all parts have been tried.
        """
        await attempt_each(self.refresh, self._load_usage, self._load_runs)

    async def _load_usage(self) -> None:
        self.usage = await self._database.run(self._limiter.store.read_all, self.now())

    async def _load_runs(self) -> None:
        self.history = history = await self._database.run(
            sync_runs.load_history, self._limiter.store.client_id
        )
        if history != self._days_of:
            self.days = await self._database.run(sync_runs.read_days, self.now())
        self._days_of = history

    async def refresh(self) -> None:
        """Read whether any process syncs. Raises DatabaseError, and then assumes that none does."""
        try:
            self.syncing = await self._database.run(advisory_lock.is_held, advisory_lock.SYNC)
        except DatabaseError:
            self.syncing = False
            raise

    @property
    def markets(self) -> dict[str, Verdict | None]:
        """The markets of SYNC_MARKETS, each with its verdict, None if it has none yet."""
        return {market: self.history.markets.get(market) for market in self._markets}

    def buckets(self, source: str | None, pages: int, interval: timedelta) -> list[Bucket]:
        """List the endpoints that were called lately, are paused, or have been refused before.

        The forecast assumes that `source` is swept every `interval`, with `pages` calls each time.
        """
        swept = next((ENDPOINTS[each].path for each in SOURCE_ORDER if each == source), None)
        sweeps = math.ceil(DAY / interval) * pages if interval else 0
        return [
            self._bucket(name, usage, sweeps if name == swept else None)
            for name, usage in self.usage.items()
            if usage.calls_by_hour or usage.cooldown or usage.was_refused
        ]

    def _bucket(self, name: str, usage: BucketUsage, sweeps: int | None) -> Bucket:
        now = self.now()
        per_day = self._limiter.budget.calls_a_day(name, usage, now)
        calls, cooldown, ceiling = used(usage.calls_by_hour, now), usage.cooldown, usage.ceiling
        paused = usage.is_paused(now)
        return Bucket(
            name,
            calls,
            max(per_day - calls, 0),
            per_day,
            calls if sweeps is None else sweeps,
            cooldown.until if cooldown and paused else None,
            cooldown.reason if cooldown and paused else None,
            ceiling.refused_at if ceiling else None,
            ceiling.refused_calls if ceiling else None,
        )
