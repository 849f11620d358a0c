"""Counting calls: what a bucket may still have, when there is room, how far apart sweeps fit. Pure.

A bucket is one of Spotify's endpoints. Calls are counted by the hour, and an hour counts as long as
any of it lies within the last 24, so the true sum over any 24 hours is never more than what is told
here. Source: `Spotify blocks a bucket for a day after about 600 calls` (seen; nothing is promised).
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.spotify.types import Purpose

HOUR = timedelta(hours=1)
REACH = timedelta(hours=25)  # how long an hour counts after it has begun
SILENCE = timedelta(hours=3)  # without a call, after which the clock may have been put forward
RESERVED = 10  # one call in so many is kept for what a person asks for

Windows = Mapping[datetime, int]  # start of an hour → calls


@dataclass(frozen=True)
class Allowance:
    """`per_day` is the number of calls that a bucket may have in 24 hours."""

    per_day: int

    def most(self, purpose: Purpose) -> int:
        """What a purpose may use; syncs and details leave a reserve to people.

        Logins of unknown and of known browsers are two buckets of one endpoint, each of which may
        use half. Tokens are counted, but have no limit: theirs is no bucket of the Web API.
        """
        if purpose == "tokens":
            return sys.maxsize
        if purpose == "login":
            return self.per_day // 2
        reserve = self.per_day // RESERVED if purpose == "background" else 0
        return self.per_day - reserve


def bucket_of(path: str) -> str:
    """The endpoint that a path belongs to: what comes after /artists is an id, not an endpoint."""
    first, _, rest = path.lstrip("/").partition("/")
    return f"/{first}/{rest}" if first == "browse" else f"/{first}"


def by_unknown_browsers(bucket: str) -> str:
    """The part of a bucket for logins of browsers that nobody has logged in with before.

    Strangers can make those fail at will, so their pauses are no one else's.
    """
    return f"{bucket}/unknown-browsers"


def hour_of(moment: datetime) -> datetime:
    """The start of the hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def used(windows: Windows, now: datetime) -> int:
    """The calls of the last 24 hours."""
    return sum(calls for start, calls in windows.items() if start + REACH > now)


def put_right(windows: Windows, now: datetime) -> Windows:
    """The same calls, but none in the future: a clock has been put back since they were counted.

    The newest were made in this hour, for all that is known; the others as long before them as
    their clock said. So it is for those before a silence only if they lie in the future, too: the
    clock may have been right until then.
    """
    first = newest = max(windows, default=now)
    ahead = newest - hour_of(now)
    if ahead < HOUR:
        return windows
    for start in sorted(windows, reverse=True):
        if first - start > SILENCE:
            break
        first = start
    right: Counter[datetime] = Counter()
    for start, calls in windows.items():
        right[start - ahead if start >= min(first, now) else start] += calls
    return right


def room_at(windows: Windows, now: datetime, calls: int, most: int) -> datetime | None:
    """When `calls` more will fit under `most`; None if they never do."""
    if calls > most:
        return None
    left, moment = most - used(windows, now), now
    for start in sorted(windows):
        if left >= calls:
            break
        if start + REACH > now:
            left, moment = left + windows[start], start + REACH
    return moment


def spacing(windows: Windows, now: datetime, cost: int, most: int) -> timedelta:
    """The least distance at which sweeps of `cost` calls each fit under `most`, from now on.

    What is left is spread until the hours used so far begin to count no more, so that it is never
    spent early and then waited for.
    """
    left, widest = most - used(windows, now), timedelta(0)
    leaving = sorted(start for start in windows if start + REACH > now)
    for start in leaving:
        fitting = max(left // cost, 0)
        widest = max(widest, (start + REACH - now) / (fitting + 1))
        left += windows[start]
    return max(widest, REACH / max(most // cost, 1))
