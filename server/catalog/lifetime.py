"""How long a response is valid: until midnight, until the data is stale or read again. Pure.

A response that depends on the day must not be served after midnight, neither here nor by any cache
on the way to a client. So it expires here early enough for caches to drop it by then.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from server.catalog.zones import seconds_to_midnight

REVALIDATE = 60  # seconds for which a cache may serve an old response while it fetches a new one
STALE_AFTER = 3  # sync intervals without a complete sync


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how many `seconds` this process may serve a response, and what caches may do with it.

    Caches may store it for `max_age` seconds, and serve it for `revalidate` more while they fetch a
    new one (RFC 5861 section 3).
    """

    seconds: float
    max_age: int
    revalidate: int = REVALIDATE


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The time and the state of the data that responses are built with.

    `now` is by the wall clock; `at` (the same moment) and `good_until`, when responses expire at
    the latest, are by the timer. `stale_since` is when the data became stale, if known.
    """

    now: datetime
    at: float
    good_until: float
    stale: bool = False
    stale_since: datetime | None = None

    def lifetime(self, max_age: int, day_of: tzinfo | None) -> Lifetime:
        """Return the lifetime of a response that caches may store for `max_age` seconds.

        One that depends on the day in the zone `day_of` expires at the next midnight there.
        """
        left = self.good_until - self.at
        if day_of is None:
            return Lifetime(left, max_age)
        made = lifetime_before(seconds_to_midnight(self.now, day_of), max_age)
        return Lifetime(min(left, made.seconds), made.max_age, made.revalidate)


class Clocks:
    """The clocks of the cache: `now` returns the time, `timer` monotonic seconds.

    `interval` returns the time between syncs, zero if they are off.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        timer: Callable[[], float],
        interval: Callable[[], timedelta],
    ) -> None:
        self.now = now
        self.timer = timer
        self._interval = interval

    def is_stale(self, complete_at: datetime | None) -> bool:
        """Return whether no sync was complete for three intervals; False where syncing is off."""
        stale_after = STALE_AFTER * self._interval()
        if not stale_after:
            return False
        return complete_at is None or self.now() - complete_at > stale_after

    def context(self, complete_at: datetime | None, good_until: float) -> BuildContext:
        """Return the context now, for data whose last complete sync ended at `complete_at`."""
        now, at, stale_after = self.now(), self.timer(), STALE_AFTER * self._interval()
        stale_at = complete_at + stale_after if complete_at and stale_after else None
        if stale_at is not None and stale_at > now:
            good_until = min(good_until, at + (stale_at - now).total_seconds())
        stale = self.is_stale(complete_at)
        return BuildContext(now, at, good_until, stale, stale_at if stale else None)


def lifetime_before(left: float, max_age: int) -> Lifetime:
    """Return the lifetime of a response that no cache may serve once `left` seconds are over.

    While `left` is large, caches may store it for the full `max_age`. Later half of it is for
    serving from here and half for caches; in the last two seconds caches may not store it at all.
    """
    if left > max_age + REVALIDATE:
        return Lifetime(left - max_age - REVALIDATE, max_age)
    half = math.floor(left / 2)
    if half < 1:
        return Lifetime(max(left, 0.0), 0, 0)
    age = min(max_age, half)
    return Lifetime(left - half, age, min(REVALIDATE, half - age))
