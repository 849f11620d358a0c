"""How long answers hold: until the day ends, until the data is stale, until it is read anew. Pure.

An answer that depends on the day must be gone at midnight (UTC), here and in every cache on the
way to a client. So what may be served here ends early enough for caches to be done with it by then.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

REVALIDATE = 60  # seconds for which a cache may serve an old answer while it fetches a new one
STALE_AFTER = 3  # sync intervals without a complete sync
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how many seconds an answer may be served from here; what caches may then do with it.

    They may keep it for `max_age` seconds, and serve it for `revalidate` more while they fetch a
    new one (RFC 5861 section 3).
    """

    seconds: float
    max_age: int
    revalidate: int = REVALIDATE


@dataclass(frozen=True, slots=True)
class Occasion:
    """The circumstances in which answers are made.

    `now` is by the wall clock; `at` and `good_until`, when answers end at the latest, are by the
    timer. `stale_since` is when the data turned stale, if it has and that is known.
    """

    now: datetime
    at: float
    good_until: float
    stale: bool = False
    stale_since: datetime | None = None

    def lifetime(self, max_age: int, *, of_the_day: bool) -> Lifetime:
        """How long an answer may live that caches may keep for `max_age` seconds.

        `of_the_day` says that it depends on the day.
        """
        left = self.good_until - self.at
        if not of_the_day:
            return Lifetime(left, max_age)
        made = until(seconds_of_the_day(self.now), max_age)
        return Lifetime(min(left, made.seconds), made.max_age, made.revalidate)


class Clocks:
    """The clocks that answers go by: `now` tells the time, `timer` counts seconds.

    `interval` is how far apart syncs are, zero when there are none.
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
        """Whether no sync was complete for three intervals; never where syncing is off."""
        stale_after = STALE_AFTER * self._interval()
        if not stale_after:
            return False
        return complete_at is None or self.now() - complete_at > stale_after

    def occasion(self, complete_at: datetime | None, good_until: float) -> Occasion:
        """The circumstances now, with data of which the last complete sync ended then."""
        now, at, stale_after = self.now(), self.timer(), STALE_AFTER * self._interval()
        stale_at = complete_at + stale_after if complete_at and stale_after else None
        if stale_at is not None and stale_at > now:
            good_until = min(good_until, at + (stale_at - now).total_seconds())
        stale = self.is_stale(complete_at)
        return Occasion(now, at, good_until, stale, stale_at if stale else None)


def until(left: float, max_age: int) -> Lifetime:
    """The lifetime of an answer that no cache may serve any more when `left` seconds are over.

    Long before, caches may keep it as long as ever. Then half of what is left is for serving it
    from here, the other half for caches; in the last two seconds they may not keep it at all.
    """
    if left > max_age + REVALIDATE:
        return Lifetime(left - max_age - REVALIDATE, max_age)
    half = math.floor(left / 2)
    if half < 1:
        return Lifetime(max(left, 0.0), 0, 0)
    age = min(max_age, half)
    return Lifetime(left - half, age, min(REVALIDATE, half - age))


def seconds_of_the_day(now: datetime) -> float:
    """Seconds until midnight in UTC."""
    moment = now.astimezone(UTC)
    return DAY.total_seconds() - (moment - start_of_the_day(moment)).total_seconds()


def start_of_the_day(now: datetime) -> datetime:
    """The last midnight in UTC."""
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)
