"""Quotas: how many calls an app may make, and how long it is blocked when it made more."""

import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from server.standin.faults.definitions import Fault

ARTIST_ALBUMS: Final = "/artists/{id}/albums"
BUCKETS: Final = (
    *("/browse/new-releases", "/search", ARTIST_ALBUMS, "/artists", "/albums"),
    *("/me/following", "/me/library", "/me/playlists", "/me", "/playlists"),
)
"""Endpoints that are counted separately, each with all paths below it that are not another's."""
OTHERS: Final = "*"
"""Stands for every bucket that a mapping of quotas does not name."""
DAY: Final = timedelta(hours=24)
RATE_WINDOW: Final = timedelta(seconds=30)
RATE_PAUSE: Final = 11
"""The Retry-After of a caller that was too fast; the window may last longer."""
BURST_WINDOW: Final = timedelta(minutes=5)
RESETS_LAST: Final = timedelta(minutes=10)
"""How long connections are reset after a burst of calls."""

PauseModel = Literal["fixed", "prolonging"]
PAUSE_MODELS: Final = ("fixed", "prolonging")
Quota = int | Mapping[str, int] | None
_ALBUMS_OF_AN_ARTIST: Final = re.compile(r"/artists/[^/]+/albums/")


def bucket_of(path: str) -> str | None:
    """Return the bucket of a path of the Web API, None if it has none."""
    path = f"{path.removeprefix('/v1')}/"
    if _ALBUMS_OF_AN_ARTIST.match(path):
        return ARTIST_ALBUMS
    return next((bucket for bucket in BUCKETS if path.startswith(f"{bucket}/")), None)


class Quotas:
    """Counts calls by the injected clock.

    Allows `quota` calls in any 24 hours, one number for each bucket, or a mapping from bucket to
    number, in which OTHERS stands for the rest; and `rate_limit` calls to all buckets in any 30
    seconds. More than `burst` calls in five minutes have all connections reset for ten. None, or a
    bucket without a number, is not limited. Only admitted calls count.

    A bucket whose quota is used up is blocked until its first call is 24 hours old, and then starts
    at zero. With the pause model "prolonging", each call to a blocked bucket blocks it for another
    24 hours. Raises ValueError for a bucket that does not exist.
    """

    def __init__(
        self,
        quota: Quota,
        rate_limit: int | None,
        clock: Callable[[], datetime],
        pause_model: PauseModel = "fixed",
        burst: int | None = None,
    ) -> None:
        self._quotas = _by_bucket(quota)
        self._rate_limit = rate_limit
        self._clock = clock
        self._pause_model = pause_model
        self._burst = burst
        self._recent: deque[datetime] = deque()
        self._of_burst: deque[datetime] = deque()
        self._reset_until: datetime | None = None
        self._of_day: dict[str, deque[datetime]] = {bucket: deque() for bucket in BUCKETS}
        self._blocked_until: dict[str, datetime] = {}
        self.lockouts = 0
        """How many times a bucket was blocked because its quota was used up."""
        self.prolonged = 0
        """How many calls reached a blocked bucket, whether or not that prolonged the block."""

    def admit(self, path: str) -> Fault | None:
        """Count a call and return None, or return the refusal."""
        now, bucket = self._clock(), bucket_of(path)
        if self._resets(now):
            return Fault("reset")
        if bucket and now < self._blocked_until.get(bucket, now):
            self.prolonged += 1
            if self._pause_model == "prolonging":
                self._blocked_until[bucket] = now + DAY
            return self._refuse(bucket, now)
        if self._rate_limit is not None:
            if _count(self._recent, now - RATE_WINDOW) >= self._rate_limit:
                return Fault("rate-limit", retry_after=RATE_PAUSE)
            self._recent.append(now)
        quota = self._quotas.get(bucket) if bucket else None
        if bucket and quota is not None:
            calls = self._of_day[bucket]
            if _count(calls, now - DAY) >= quota:
                self.lockouts += 1
                self._blocked_until[bucket] = (calls[0] if calls else now) + DAY
                calls.clear()
                return self._refuse(bucket, now)
            calls.append(now)
        return None

    def _resets(self, now: datetime) -> bool:
        """Whether the connection is reset, as after a burst; counts the call if it is not."""
        if self._burst is None:
            return False
        if self._reset_until is not None and now < self._reset_until:
            return True
        if _count(self._of_burst, now - BURST_WINDOW) >= self._burst:
            self._of_burst.clear()
            self._reset_until = now + RESETS_LAST
            return True
        self._of_burst.append(now)
        return False

    def _refuse(self, bucket: str, now: datetime) -> Fault:
        left = math.ceil((self._blocked_until[bucket] - now).total_seconds())
        return Fault("quota-exceeded", retry_after=left)


def _by_bucket(quota: Quota) -> dict[str, int]:
    """Return the number of each limited bucket."""
    if quota is None:
        return {}
    if isinstance(quota, int):
        return dict.fromkeys(BUCKETS, quota)
    unknown = sorted(set(quota) - {*BUCKETS, OTHERS})
    if unknown:
        raise ValueError(f"no bucket {unknown[0]!r}; known are {', '.join(BUCKETS)}")
    others = dict.fromkeys(BUCKETS, quota[OTHERS]) if OTHERS in quota else {}
    return others | {bucket: number for bucket, number in quota.items() if bucket != OTHERS}


def _count(calls: deque[datetime], since: datetime) -> int:
    """Return how many of `calls` are later than `since`; drop the others."""
    while calls and calls[0] <= since:
        calls.popleft()
    return len(calls)
