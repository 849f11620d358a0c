"""The least time between syncs, so that the calls of a day last for the whole day."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.database.executor import Database
from server.spotify.api.markets import served
from server.spotify.limits.budget import BucketUsage
from server.spotify.limits.quota import SEARCH, CallsByHour, room_at, spacing
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.types import ENDPOINTS, SourceName, Verdict
from server.storage import sync_runs

BUSY = timedelta(hours=1)  # the wait for a sync whose calls never fit into the quota


@dataclass(frozen=True)
class Outlook:
    """What the quota allows for syncs of `calls` calls each.

    `spacing` is the least time between two syncs, `room_in` the time until the next one fits; both
    in seconds.
    """

    spacing: float
    room_in: float
    calls: int = 0


class Pacing:
    """Reads the stored calls of the bucket that a source belongs to."""

    def __init__(
        self,
        database: Database,
        limiter: RateLimiter,
        now: Callable[[], datetime],
        *,
        max_releases: int,
        markets: Sequence[str],
    ) -> None:
        self._database = database
        self._limiter = limiter
        self._now = now
        self._max_releases = max_releases
        self._markets = markets

    def max_calls(self, source: SourceName, known: Mapping[str, Verdict]) -> int:
        """Return the calls of a sweep whose lists are all as long as SYNC_MAX_RELEASES.

        `known` holds the verdicts on markets: those that Spotify refuses take no calls.
        """
        lists = len(served(self._markets, known, self._now())) if source == "search" else 1
        return max(lists, 1) * math.ceil(self._max_releases / ENDPOINTS[source].limit)

    async def outlook(self, source: SourceName, pages: int = 0) -> Outlook:
        """Return what the quota allows for sweeps of `pages` calls; 0 means the most it may take.

        Raises DatabaseError.
        """
        store, known = self._limiter.store, {}
        if self._markets:
            known = await self._database.run(sync_runs.load_markets, store.client_id)
        cost, now = pages or self.max_calls(source, known), self._now()
        bucket = ENDPOINTS[source].path
        usage = await self._database.run(store.read, bucket, now)
        calls_by_hour, most = self._share(bucket, usage, now)
        room = room_at(calls_by_hour, now, cost, most) or now + BUSY
        apart = spacing(calls_by_hour, now, cost, most)
        return Outlook(apart.total_seconds(), (room - now).total_seconds(), cost)

    def _share(self, bucket: str, usage: BucketUsage, now: datetime) -> tuple[CallsByHour, int]:
        """Return the calls that count for syncs, and how many of them syncs may use.

        While followed artists are searched for, their calls are not counted, and their share is
        left to them.
        """
        limiter = self._limiter
        most = limiter.budget.limit(bucket, usage, "background", now)
        if bucket != SEARCH or not limiter.searches_artists:
            return usage.calls_by_hour, most
        share = limiter.budget.limit(bucket, usage, "following", now)
        return usage.without_following(), most - share
