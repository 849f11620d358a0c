"""How many calls a day each bucket may have, learnt from Spotify's refusals. Pure.

Spotify publishes no numbers, and they differ by a factor of 25 from endpoint to endpoint. An app in
development mode that has used up a bucket is refused until the first call of the bucket's window is
24 hours old, so `Retry-After` says when that window began, and the calls since then are the number
that Spotify allowed (observed, undocumented).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from server.spotify.limits.quota import CallsByHour, hour_of

ARTIST_ALBUMS = "/artists/{id}/albums"
STARTING: Mapping[str, int] = {ARTIST_ALBUMS: 80, "/search": 300}
OTHERS = 450
WINDOW = timedelta(hours=24)
LEAST_SPENT = timedelta(hours=1)  # a longer Retry-After means that the quota is spent
LEAST_KNOWN = 10  # calls of our own; fewer mean that another app of the account has used it up
KEPT = 0.8  # of the calls that went through
RAISED = 1.1
RAISED_AFTER = timedelta(days=7)
REMEMBERED = timedelta(days=90)  # how long a refused number is not reached again


@dataclass(frozen=True)
class Ceiling:
    """The ceiling of one bucket, in calls in 24 hours; `changed_at` is its last change.

    `refused_calls` is how many calls went through before Spotify last refused one, at `refused_at`;
    both are None if it never did.
    """

    per_day: int
    changed_at: datetime
    refused_at: datetime | None = None
    refused_calls: int | None = None

    def corrected(self, now: datetime) -> "Ceiling":
        """Move times from the future, by a clock that was put back since, to now."""
        refused = None if self.refused_at is None else min(self.refused_at, now)
        return replace(self, changed_at=min(self.changed_at, now), refused_at=refused)


def starting(bucket: str, most: int) -> int:
    """Return the ceiling of a bucket of which nothing is known; `most` is QUOTA_PER_DAY."""
    return min(STARTING.get(bucket, OTHERS), most)


def means_spent(reason: str, retry_after: int | None) -> bool:
    """Return whether a 429 says that the quota is spent: by its reason, or by its length.

    `retry_after` is in seconds. A short pause says nothing about the quota.
    """
    long = retry_after is not None and retry_after > LEAST_SPENT.total_seconds()
    return long or "QUOTA_EXCEEDED" in reason


def window_start(now: datetime, retry_after: int) -> datetime:
    """Return when the window of a spent quota began: 24 hours before `retry_after` is over."""
    return min(now - (WINDOW - timedelta(seconds=retry_after)), now)


def lowered(
    known: Ceiling | None,
    bucket: str,
    calls_by_hour: CallsByHour,
    retry_after: int | None,
    now: datetime,
    most: int,
) -> Ceiling | None:
    """Return the ceiling after Spotify has refused a call because the quota is spent.

    It is 80 % of our own calls in the window, and never higher than before. Without a
    `retry_after`, the window is the last 24 hours. Returns None if our own calls are too few to
    have spent it.
    """
    named = WINDOW.total_seconds() if retry_after is None else retry_after
    start = hour_of(window_start(now, int(named)) if retry_after else now - WINDOW)
    calls = sum(number for hour, number in calls_by_hour.items() if hour >= start)
    if calls < LEAST_KNOWN:
        return None
    before = known.per_day if known else starting(bucket, most)
    return Ceiling(min(before, max(math.floor(calls * KEPT), 1)), now, now, calls)


def raised(known: Ceiling, now: datetime, most: int) -> Ceiling:
    """Return the ceiling, raised by a tenth if it has not changed for a week.

    It never exceeds `most`, and for 90 days never reaches a number that was refused.
    """
    known = known.corrected(now)
    highest = most
    if known.refused_at is not None and now - known.refused_at < REMEMBERED:
        highest = min(most, (known.refused_calls or most) - 1)
    if now - known.changed_at < RAISED_AFTER or known.per_day >= highest:
        return known
    more = max(math.floor(known.per_day * RAISED), known.per_day + 1)
    return replace(known, per_day=min(more, highest), changed_at=now)
