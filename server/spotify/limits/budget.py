"""What a bucket has used, and how much of it each purpose may use. Pure."""

import sys
from dataclasses import dataclass, field, replace
from datetime import datetime

from server.spotify.limits.ceiling import Ceiling, current
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import SEARCH, CallsByHour, used
from server.spotify.types import Purpose

RESERVED = 10  # one call in ten is reserved for syncs that people start
FOLLOWING_SHARE = 3  # of search, one call in three is for the releases of followed artists
ACCOUNTS = "/api/"  # buckets of the accounts service, which has no ceilings


@dataclass(frozen=True)
class BucketUsage:
    """The stored state of a bucket: its calls by the hour; its last cooldown, ended or not.

    `following_by_hour` are those of the calls that were made for followed artists. `ceiling` is
    None before the first call.
    """

    calls_by_hour: CallsByHour = field(default_factory=dict)
    cooldown: Cooldown | None = None
    ceiling: Ceiling | None = None
    following_by_hour: CallsByHour = field(default_factory=dict)

    def is_paused(self, now: datetime) -> bool:
        """Whether a cooldown lasts."""
        return self.cooldown is not None and self.cooldown.seconds_left(now) > 0

    @property
    def was_refused(self) -> bool:
        """Whether Spotify has refused a call because the quota was spent."""
        return self.ceiling is not None and self.ceiling.refused_at is not None

    def with_call(self, hour: datetime, purpose: Purpose) -> "BucketUsage":
        """Return the usage after one more call in an hour."""
        calls = {**self.calls_by_hour, hour: self.calls_by_hour.get(hour, 0) + 1}
        following = self.following_by_hour
        if purpose == "following":
            following = {**following, hour: following.get(hour, 0) + 1}
        return replace(self, calls_by_hour=calls, following_by_hour=following)

    def without_following(self) -> CallsByHour:
        """Return the calls by the hour that were not made for followed artists."""
        return {
            hour: calls - self.following_by_hour.get(hour, 0)
            for hour, calls in self.calls_by_hour.items()
        }


@dataclass(frozen=True)
class Budget:
    """The calls that each bucket may have: at most `per_day`, which is QUOTA_PER_DAY, in 24 hours.

    Within that number each bucket has a learnt ceiling. Those of the accounts service have none,
    because it is not part of the Web API.
    """

    per_day: int

    def has_ceiling(self, bucket: str) -> bool:
        """Whether the bucket has a learnt ceiling."""
        return not bucket.startswith(ACCOUNTS)

    def ceiling(self, bucket: str, usage: BucketUsage, now: datetime) -> Ceiling | None:
        """Return the ceiling that holds now, raised since it was stored where that is due."""
        if not self.has_ceiling(bucket):
            return None
        return current(usage.ceiling, bucket, now, self.per_day)

    def calls_a_day(self, bucket: str, usage: BucketUsage, now: datetime) -> int:
        """Return how many calls a bucket may have in 24 hours."""
        ceiling = self.ceiling(bucket, usage, now)
        return self.per_day if ceiling is None else min(ceiling.per_day, self.per_day)

    def limit(self, bucket: str, usage: BucketUsage, purpose: Purpose, now: datetime) -> int:
        """Return the calls in 24 hours that a purpose may use; background work leaves a reserve.

        Logins of unknown and of known browsers are two buckets of one endpoint, each of which may
        use half. Of search, followed artists may use a third. Token requests are counted, but not
        limited.
        """
        if purpose == "tokens":
            return sys.maxsize
        most = self.calls_a_day(bucket, usage, now)
        if purpose == "login":
            return most // 2
        if purpose == "interactive":
            return most
        if purpose == "following" and bucket == SEARCH:
            return most // FOLLOWING_SHARE
        return most - most // RESERVED

    def tightest(
        self, bucket: str, usage: BucketUsage, purpose: Purpose, now: datetime
    ) -> tuple[CallsByHour, int]:
        """Return the calls that count for a purpose, and how many of them it may use.

        Of search, followed artists may use their share, and only what syncs have left: the one
        that leaves less room is returned.
        """
        bounds = [(usage.calls_by_hour, self.limit(bucket, usage, purpose, now))]
        if purpose == "following" and bucket == SEARCH:
            others = self.limit(bucket, usage, "background", now)
            bounds = [(usage.following_by_hour, bounds[0][1]), (usage.calls_by_hour, others)]
        return min(bounds, key=lambda bound: bound[1] - used(bound[0], now))

    def room(self, bucket: str, usage: BucketUsage, purpose: Purpose, now: datetime) -> int:
        """Return how many more calls a purpose may make now; never less than 0."""
        calls_by_hour, most = self.tightest(bucket, usage, purpose, now)
        return max(most - used(calls_by_hour, now), 0)
