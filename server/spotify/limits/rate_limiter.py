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
from server.errors import DatabaseError, QuotaSpent, RateLimited
from server.spotify.limits.cooldown import Cooldown, next_cooldown, read_retry_after
from server.spotify.limits.quota import Allowance, hour_of, room_at, used
from server.spotify.limits.usage_store import BucketUsage, UsageStore
from server.spotify.transport import Response
from server.spotify.types import Purpose

log = structlog.get_logger()


class RateLimiter:
    """Limits the calls that one app makes to `per_day` in 24 hours for each bucket.

    `client_id` is the app's, to which everything stored belongs. `count` is called with the bucket
    and the status of each response.
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
        self.allowance = Allowance(per_day)
        self._now = now
        self._usages: dict[str, BucketUsage] = {}
        self._unwritten: Counter[tuple[str, datetime]] = Counter()
        self._unwritten_cooldowns: dict[str, Cooldown] = {}
        self._saving = asyncio.Lock()
        self._logged_until: dict[str, datetime] = {}  # when `quota_spent` may be logged again

    async def call(
        self, call: Callable[[], Awaitable[Response]], bucket: str, purpose: Purpose
    ) -> Response:
        """Make a call and count it; return the response, whatever its status.

        Raises RateLimited for a 429, and RateLimited or QuotaSpent without a call if none may be
        made now.
        """
        await self._enter(bucket, purpose)
        response = await call()
        self._count(bucket, response.status)
        if response.status == 429:
            raise await self._start_cooldown(bucket, response)
        if response.status < 500:
            await self._end_cooldown(bucket)
        return response

    async def check(self, bucket: str, purpose: Purpose, calls: int = 1) -> None:
        """Raise RateLimited or QuotaSpent if `calls` calls may not be made now; makes none."""
        now, most = self._now(), self.allowance.limit(purpose)
        await self._correct(bucket)
        self._refuse_in_cooldown(bucket)
        with suppress(DatabaseError):
            self._learn(bucket, await self._database.run(self.store.read, bucket, now))
        self._refuse_in_cooldown(bucket)
        usage = self._usage(bucket)
        if used(usage.calls_by_hour, now) + calls > most:
            self._refuse_as_spent(bucket, usage, now, most, calls)

    async def _enter(self, bucket: str, purpose: Purpose) -> None:
        most = self.allowance.limit(purpose)
        await self._correct(bucket)
        self._refuse_in_cooldown(bucket)
        pending = sum(calls for (name, _), calls in self._unwritten.items() if name == bucket)
        try:
            entered, usage = await self._database.run(
                self.store.enter, bucket, self._now, most - pending
            )
        except DatabaseError:
            entered, usage = self._enter_in_memory(bucket, self._now(), most)
        self._learn(bucket, usage)
        self._refuse_in_cooldown(bucket)  # one may have started during the wait for the database
        if not entered:
            self._refuse_as_spent(bucket, usage, self._now(), most)

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
        """Take over what was read, but keep a known cooldown that lasts longer."""
        known = self._usage(bucket).cooldown
        lasting = known is not None and known.seconds_left(self._now()) > 0
        if known and lasting and (usage.cooldown is None or usage.cooldown.until < known.until):
            usage = replace(usage, cooldown=known)
        self._usages[bucket] = usage

    async def _start_cooldown(self, bucket: str, response: Response) -> RateLimited:
        """Store the cooldown that a 429 starts, and return the error to raise."""
        now, reason = self._now(), f"429 {response.reason()}".strip()
        named = read_retry_after(response.headers.get("Retry-After"), now)
        cooldown = next_cooldown(self._usage(bucket).cooldown, named, reason, now)
        self._usages[bucket] = replace(self._usage(bucket), cooldown=cooldown)
        self._unwritten_cooldowns[bucket] = cooldown
        seconds = cooldown.seconds_left(now)
        log.warning(
            "rate_limited", bucket=bucket, until=cooldown.until, seconds=seconds, reason=reason
        )
        with suppress(DatabaseError):  # `save` writes it later
            await self.save()
        return RateLimited(reason, seconds=seconds, bucket=bucket)

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
                await self._database.run(self.store.count, counts)
                self._unwritten.subtract(counts)
                self._unwritten = +self._unwritten
            for bucket, cooldown in tuple(self._unwritten_cooldowns.items()):
                await self._database.run(self.store.store_cooldown, bucket, cooldown)
                if self._unwritten_cooldowns.get(bucket) is cooldown:
                    del self._unwritten_cooldowns[bucket]

    def _usage(self, bucket: str) -> BucketUsage:
        return self._usages.get(bucket, BucketUsage())

    def _enter_in_memory(self, bucket: str, now: datetime, most: int) -> tuple[bool, BucketUsage]:
        """Do what `UsageStore.enter` does in memory, while the database is unavailable."""
        usage, hour = self._usage(bucket), hour_of(now)
        if used(usage.calls_by_hour, now) >= most:
            return False, usage
        self._unwritten[bucket, hour] += 1
        calls_by_hour = {**usage.calls_by_hour, hour: usage.calls_by_hour.get(hour, 0) + 1}
        return True, replace(usage, calls_by_hour=calls_by_hour)

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

    def _refuse_as_spent(
        self, bucket: str, usage: BucketUsage, now: datetime, most: int, calls: int = 1
    ) -> None:
        until = room_at(usage.calls_by_hour, now, calls, most) or now + timedelta(hours=1)
        if self._logged_until.get(bucket, now) <= now:
            self._logged_until[bucket] = until
            log.warning(
                "quota_spent", bucket=bucket, calls=used(usage.calls_by_hour, now), until=until
            )
        raise QuotaSpent(
            f"{used(usage.calls_by_hour, now)} calls of {most} in 24 hours are used up",
            seconds=max(round((until - now).total_seconds()), 1),
            bucket=bucket,
        )
