"""Quotas: how many calls an app may make, and how long it is blocked when it made more."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from server.standin.faults.definitions import Fault

BUCKETS: Final = ("/browse/new-releases", "/search", "/artists", "/albums", "/me")
"""Endpoints that are counted separately, each with all paths below it."""
DAY: Final = timedelta(hours=24)
LOCKOUT: Final = 86_236
"""Seconds for which a bucket stays blocked, from the last call to it on."""
RATE_WINDOW: Final = timedelta(seconds=30)
RATE_PAUSE: Final = 11
"""The Retry-After of a caller that was too fast; the window may last longer."""


def bucket_of(path: str) -> str | None:
    """Return the bucket of a path of the Web API, None if it has none."""
    path = f"{path.removeprefix('/v1')}/"
    return next((bucket for bucket in BUCKETS if path.startswith(f"{bucket}/")), None)


class Quotas:
    """Counts calls by the injected clock.

    Allows `quota` calls per bucket in any 24 hours, and `rate_limit` calls to all buckets in any 30
    seconds; None is no limit. Only admitted calls count. After a block a bucket starts at zero.
    """

    def __init__(
        self, quota: int | None, rate_limit: int | None, clock: Callable[[], datetime]
    ) -> None:
        self._quota = quota
        self._rate_limit = rate_limit
        self._clock = clock
        self._recent: deque[datetime] = deque()
        self._of_day: dict[str, deque[datetime]] = {bucket: deque() for bucket in BUCKETS}
        self._blocked_until: dict[str, datetime] = {}
        self.lockouts = 0
        """How many times a bucket was blocked because its quota was used up."""
        self.prolonged = 0
        """How many calls reached a blocked bucket and so prolonged the block."""

    def admit(self, path: str) -> Fault | None:
        """Count a call and return None, or return the refusal."""
        now, bucket = self._clock(), bucket_of(path)
        if bucket and now < self._blocked_until.get(bucket, now):
            self.prolonged += 1
            return self._block(bucket, now)
        if self._rate_limit is not None:
            if _count(self._recent, now - RATE_WINDOW) >= self._rate_limit:
                return Fault("rate-limit", retry_after=RATE_PAUSE)
            self._recent.append(now)
        if bucket and self._quota is not None:
            if _count(self._of_day[bucket], now - DAY) >= self._quota:
                self.lockouts += 1
                return self._block(bucket, now)
            self._of_day[bucket].append(now)
        return None

    def _block(self, bucket: str, now: datetime) -> Fault:
        self._of_day[bucket].clear()
        self._blocked_until[bucket] = now + timedelta(seconds=LOCKOUT)
        return Fault("quota-exceeded", retry_after=LOCKOUT)


def _count(calls: deque[datetime], since: datetime) -> int:
    """Return how many of `calls` are later than `since`; drop the others."""
    while calls and calls[0] <= since:
        calls.popleft()
    return len(calls)
