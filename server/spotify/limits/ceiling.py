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

from server.spotify.limits.quota import ARTIST_ALBUMS, SEARCH, CallsByHour, hour_of

STARTING: Mapping[str, int] = {ARTIST_ALBUMS: 80, SEARCH: 300}
OTHERS = 450
# A QUOTA_PER_DAY beyond this is for an app in extended quota mode, which has no daily quota; the
# most that was seen in development mode is 2600 calls.
DEVELOPMENT = 3000
WINDOW = timedelta(hours=24)
SPENT = "QUOTA_EXCEEDED"  # the code of a 429 in development mode (observed)
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
    if most > DEVELOPMENT:
        return most
    return min(STARTING.get(bucket, OTHERS), most)


def means_spent(reason: str, retry_after: int | None) -> bool:
    """Return whether a 429 says that the quota is spent: by its reason, or by its length.

    `reason` is the code in the answer; `retry_after` is in seconds. A short pause without that
    code says nothing about the quota.
    """
    long = retry_after is not None and retry_after > LEAST_SPENT.total_seconds()
    return long or reason == SPENT


def window_start(now: datetime, retry_after: int | None) -> datetime:
    """Return when the window of a spent quota began: 24 hours before `retry_after` is over.

    A pause of 24 hours or longer, or one without a length, does not say it; the window is then the
    last 24 hours.
    """
    if retry_after is None or retry_after >= WINDOW.total_seconds():
        return now - WINDOW
    return now - (WINDOW - timedelta(seconds=retry_after))


def lowered(
    known: Ceiling | None,
    bucket: str,
    calls_by_hour: CallsByHour,
    retry_after: int | None,
    now: datetime,
    most: int,
) -> Ceiling | None:
    """Return the ceiling after Spotify has refused a call because the quota is spent.

    It is 80 % of our own calls in the window, and never higher than before. `calls_by_hour`
    includes the refused call. Returns None if our own calls are too few to have spent it.
    """
    start = hour_of(window_start(now, retry_after))
    calls = sum(number for hour, number in calls_by_hour.items() if hour >= start) - 1
    if calls < LEAST_KNOWN:
        return None
    before = current(known, bucket, now, most).per_day
    return Ceiling(min(before, max(math.floor(calls * KEPT), 1)), now, now, calls)


def current(known: Ceiling | None, bucket: str, now: datetime, most: int) -> Ceiling:
    """Return the ceiling that holds now: the known one, raised where that is due.

    Until Spotify has refused a call, it is no lower than the starting value.
    """
    start = starting(bucket, most)
    if known is None:
        return Ceiling(start, now)
    if known.refused_at is None and not start <= known.per_day <= max(most, DEVELOPMENT):
        known = replace(known, per_day=start)  # QUOTA_PER_DAY was another before
    return raised(known, now, most)


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
