"""The rate limiter of all calls to Spotify: none during a cooldown, none beyond the quota.

Its state is in the database, so it limits all processes together. What cannot be written there is
kept in memory and written later, so that calls stay limited while the database is unavailable.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from server.database.executor import Database
from server.errors import ConnectionCut, DatabaseError, QuotaSpent, RateLimited
from server.spotify.limits.budget import BucketUsage, Budget
from server.spotify.limits.ceiling import Ceiling, lowered, means_spent
from server.spotify.limits.cooldown import Cooldown, after_cuts, next_cooldown, read_retry_after
from server.spotify.limits.quota import hour_of, room_at, used
from server.spotify.limits.usage_store import UsageStore
from server.spotify.transport import Response
from server.spotify.types import Purpose

CUTS_IN_A_ROW = 5  # connections without an answer between, after which a bucket is paused

log = structlog.get_logger()


class RateLimiter:
    """Limits the calls that one app makes in 24 hours: each bucket to its ceiling.

    `client_id` is the app's, to which everything stored belongs; `per_day` is the highest ceiling.
    `count` is called with the bucket and the status of each response. `searches_artists` says
    whether followed artists are searched for, so that syncs leave their share of the calls to
    search.
    """

    def __init__(
        self,
        database: Database,
        client_id: str,
        per_day: int,
        now: Callable[[], datetime],
        count: Callable[[str, int], None] = lambda bucket, status: None,
    ) -> None:
        self._database = database
        self.store = UsageStore(client_id)
        self._count = count
        self.budget = Budget(per_day)
        self.searches_artists = False
        self._now = now
        self._usages: dict[str, BucketUsage] = {}
        self._unwritten: Counter[tuple[str, datetime]] = Counter()
        self._unwritten_following: Counter[tuple[str, datetime]] = Counter()
        self._unwritten_cooldowns: dict[str, Cooldown] = {}
        self._unwritten_ceilings: dict[str, Ceiling] = {}
        self._cuts: Counter[str] = Counter()  # connections in a row that were cut, by bucket
        self._saving = asyncio.Lock()
        self._logged_until: dict[str, datetime] = {}  # when `quota_spent` may be logged again

    async def call(
        self, call: Callable[[], Awaitable[Response]], bucket: str, purpose: Purpose
    ) -> Response:
        """Make a call and count it; return the response, whatever its status.

        Raises RateLimited for a 429 and after a series of cut connections, and RateLimited or
        QuotaSpent without a call if none may be made now.
        """
        await self._enter(bucket, purpose)
        try:
            response = await call()
        except ConnectionCut as error:
            await self._count_cut(bucket, purpose, error)
            raise
        self._cuts.pop(bucket, None)
        self._count(bucket, response.status)
        if response.status == 429:
            raise await self._start_cooldown(bucket, response)
        if response.status < 500:
            await self._end_cooldown(bucket)
        return response

    async def check(self, bucket: str, purpose: Purpose, calls: int = 1) -> None:
        """Raise RateLimited or QuotaSpent if `calls` calls may not be made now; makes none."""
        now = self._now()
        await self._correct(bucket)
        self._refuse_in_cooldown(bucket)
        with suppress(DatabaseError):
            self._learn(bucket, await self._database.run(self.store.read, bucket, now))
        self._refuse_in_cooldown(bucket)
        if self.budget.room(bucket, self._usage(bucket), purpose, now) < calls:
            self._refuse_as_spent(bucket, purpose, calls)

    def limit(self, bucket: str, purpose: Purpose) -> int:
        """Return the calls in 24 hours that a purpose may use of a bucket, as known in memory."""
        return self.budget.limit(bucket, self._usage(bucket), purpose, self._now())

    def room(self, bucket: str, purpose: Purpose) -> int:
        """Return how many more calls a purpose may make now of a bucket, as known in memory."""
        return self.budget.room(bucket, self._usage(bucket), purpose, self._now())

    async def _enter(self, bucket: str, purpose: Purpose) -> None:
        await self._correct(bucket)
        self._refuse_in_cooldown(bucket)
        pending = sum(calls for (name, _), calls in self._unwritten.items() if name == bucket)
        try:
            entered, usage = await self._database.run(
                self.store.enter, bucket, self._now, purpose, self.budget, pending
            )
        except DatabaseError:
            entered, usage = self._enter_in_memory(bucket, purpose)
        self._learn(bucket, usage)
        self._refuse_in_cooldown(bucket)  # one may have started during the wait for the database
        if not entered:
            self._refuse_as_spent(bucket, purpose)

    def learn(self, usages: Mapping[str, BucketUsage]) -> None:
        """Take over the state that other processes have stored, for when the database is lost."""
        for bucket, usage in usages.items():
            self._learn(bucket, usage)

    async def _correct(self, bucket: str) -> None:
        """Let a cooldown from the future start now, after a fast clock was put back."""
        now, cooldown = self._now(), self._usage(bucket).cooldown
        if cooldown is not None and (corrected := cooldown.corrected(now)) != cooldown:
            self._usages[bucket] = replace(self._usage(bucket), cooldown=corrected)
            with suppress(DatabaseError):
                await self._database.run(self.store.read, bucket, now)

    def _learn(self, bucket: str, usage: BucketUsage) -> None:
        """Take over what was read, but keep what is not stored yet: a cooldown, a lower ceiling."""
        known = self._usage(bucket).cooldown
        lasting = known is not None and known.seconds_left(self._now()) > 0
        if known and lasting and (usage.cooldown is None or usage.cooldown.until < known.until):
            usage = replace(usage, cooldown=known)
        if bucket in self._unwritten_ceilings:
            usage = replace(usage, ceiling=self._unwritten_ceilings[bucket])
        self._usages[bucket] = usage

    async def _start_cooldown(self, bucket: str, response: Response) -> RateLimited:
        """Store the cooldown that a 429 starts, and return the error to raise."""
        now, reason = self._now(), f"429 {response.reason()}".strip()
        named = read_retry_after(response.headers.get("Retry-After"), now)
        if self.budget.has_ceiling(bucket) and means_spent(response.code(), named):
            self._lower_ceiling(bucket, named, now)
        cooldown = next_cooldown(self._usage(bucket).cooldown, named, reason, now)
        return await self._pause(bucket, cooldown)

    async def _pause(self, bucket: str, cooldown: Cooldown) -> RateLimited:
        """Store a cooldown, and return the error to raise."""
        self._usages[bucket] = replace(self._usage(bucket), cooldown=cooldown)
        self._unwritten_cooldowns[bucket] = cooldown
        seconds, reason = cooldown.seconds_left(self._now()), cooldown.reason
        log.warning(
            "rate_limited", bucket=bucket, until=cooldown.until, seconds=seconds, reason=reason
        )
        with suppress(DatabaseError):  # `save` writes it later
            await self.save()
        return RateLimited(reason, seconds=seconds, bucket=bucket)

    def _lower_ceiling(self, bucket: str, named: int | None, now: datetime) -> None:
        """Learn from a spent quota, whose Retry-After is `named`; `save` stores it."""
        usage, most = self._usage(bucket), self.budget.per_day
        before = self.budget.calls_a_day(bucket, usage, now)
        ceiling = lowered(usage.ceiling, bucket, usage.calls_by_hour, named, now, most)
        if ceiling is None:
            return
        self._usages[bucket] = replace(usage, ceiling=ceiling)
        self._unwritten_ceilings[bucket] = ceiling
        log.warning(
            "ceiling_lowered",
            bucket=bucket,
            before=before,
            per_day=ceiling.per_day,
            refused_calls=ceiling.refused_calls,
        )

    async def _count_cut(self, bucket: str, purpose: Purpose, error: ConnectionCut) -> None:
        """Count a cut connection; raise RateLimited if the series of them asks for a pause.

        Nobody gains from a pause of logins and tokens, for which people wait.
        """
        self._cuts[bucket] += 1
        if self._cuts[bucket] < CUTS_IN_A_ROW or purpose in ("login", "tokens"):
            return
        del self._cuts[bucket]
        cooldown = after_cuts(self._usage(bucket).cooldown, CUTS_IN_A_ROW, self._now())
        raise await self._pause(bucket, cooldown) from error

    async def _end_cooldown(self, bucket: str) -> None:
        """Delete the cooldown of a bucket, if it has ended, because Spotify has answered."""
        now, cooldown = self._now(), self._usage(bucket).cooldown
        if cooldown is None or cooldown.seconds_left(now):
            return
        self._usages[bucket] = replace(self._usage(bucket), cooldown=None)
        self._unwritten_cooldowns.pop(bucket, None)
        with suppress(DatabaseError):
            await self._database.run(self.store.end_cooldown, bucket, now)

    async def save(self) -> None:
        """Store counts and cooldowns that could not be stored at once. Raises DatabaseError."""
        async with self._saving:
            if counts := dict(self._unwritten):
                following = dict(self._unwritten_following)
                await self._database.run(self.store.count, counts, following)
                self._unwritten.subtract(counts)
                self._unwritten = +self._unwritten
                self._unwritten_following.subtract(following)
                self._unwritten_following = +self._unwritten_following
            for bucket, cooldown in tuple(self._unwritten_cooldowns.items()):
                await self._database.run(self.store.store_cooldown, bucket, cooldown)
                if self._unwritten_cooldowns.get(bucket) is cooldown:
                    del self._unwritten_cooldowns[bucket]
            for bucket, ceiling in tuple(self._unwritten_ceilings.items()):
                await self._database.run(self.store.lower_ceiling, bucket, ceiling)
                if self._unwritten_ceilings.get(bucket) is ceiling:
                    del self._unwritten_ceilings[bucket]

    def _usage(self, bucket: str) -> BucketUsage:
        return self._usages.get(bucket, BucketUsage())

    def _enter_in_memory(self, bucket: str, purpose: Purpose) -> tuple[bool, BucketUsage]:
        """Do what `UsageStore.enter` does in memory, while the database is unavailable."""
        now, usage = self._now(), self._usage(bucket)
        if not self.budget.room(bucket, usage, purpose, now):
            return False, usage
        self._unwritten[bucket, hour_of(now)] += 1
        if purpose == "following":
            self._unwritten_following[bucket, hour_of(now)] += 1
        return True, usage.with_call(hour_of(now), purpose)

    def _refuse_in_cooldown(self, bucket: str) -> None:
        now, cooldown = self._now(), self._usage(bucket).cooldown
        seconds = cooldown.seconds_left(now) if cooldown else 0
        if cooldown is None or not seconds:
            return
        until = now + timedelta(seconds=seconds)
        raise RateLimited(
            f"{cooldown.reason}; not asked again before {until:%Y-%m-%d %H:%M:%S} UTC",
            seconds=seconds,
            bucket=bucket,
        )

    def _refuse_as_spent(self, bucket: str, purpose: Purpose, calls: int = 1) -> None:
        now = self._now()
        calls_by_hour, most = self.budget.tightest(bucket, self._usage(bucket), purpose, now)
        until = room_at(calls_by_hour, now, calls, most) or now + timedelta(hours=1)
        if self._logged_until.get(bucket, now) <= now and purpose != "following":
            self._logged_until[bucket] = until
            log.warning("quota_spent", bucket=bucket, calls=used(calls_by_hour, now), until=until)
        raise QuotaSpent(
            f"{used(calls_by_hour, now)} calls of {most} in 24 hours are used up",
            seconds=max(round((until - now).total_seconds()), 1),
            bucket=bucket,
        )
