"""The tables `quota` and `cooldowns`. Each method runs in the caller's transaction."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

import models
from models import Quota
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import COUNTED_FOR, CallsByHour, corrected, hour_of, used

LOCK = 0x71756F74  # first key of an advisory lock, an arbitrary number; the second is the bucket
KEEP = timedelta(days=30)  # rows that no longer count
UNKNOWN = ""  # the client id of rows from before client ids were stored: they count for every app
BUCKET = bindparam("bucket", type_=Quota.bucket.type)
SINCE = bindparam("since", type_=Quota.window.type)
APP = bindparam("client_id", type_=Quota.client_id.type)
# Made once, because they run before each call to Spotify, and SQLAlchemy makes them more slowly
# than PostgreSQL runs them.
LOCKED = select(func.pg_advisory_xact_lock(LOCK, func.hashtext(BUCKET)))
ALL_COUNTED = select(Quota.bucket, Quota.window, Quota.calls).where(
    Quota.client_id.in_((UNKNOWN, APP)), Quota.window > SINCE
)
COUNTED = ALL_COUNTED.where(Quota.bucket == BUCKET)
ALL_PAUSED = (  # of two pauses of one bucket, the longer one comes last
    select(
        models.Cooldown.bucket,
        models.Cooldown.since,
        models.Cooldown.until,
        models.Cooldown.reason,
        models.Cooldown.unnamed,
    )
    .where(models.Cooldown.client_id.in_((UNKNOWN, APP)))
    .order_by(models.Cooldown.until)
)
PAUSED = ALL_PAUSED.where(models.Cooldown.bucket == BUCKET)
ADDED = insert(cast(Table, Quota.__table__))
ADDED = ADDED.on_conflict_do_update(
    index_elements=[Quota.client_id, Quota.bucket, Quota.window],
    set_={"calls": Quota.calls + ADDED.excluded.calls},
)
Counts = Mapping[tuple[str, datetime], int]  # calls by bucket and hour


@dataclass(frozen=True)
class BucketUsage:
    """The stored state of a bucket: its calls by the hour; its last cooldown, ended or not."""

    calls_by_hour: CallsByHour = field(default_factory=dict)
    cooldown: Cooldown | None = None


@dataclass(frozen=True)
class UsageStore:
    """What is stored of the buckets of one app, by its `client_id`."""

    client_id: str

    @property
    def _apps(self) -> tuple[str, str]:
        return UNKNOWN, self.client_id

    def enter(
        self, session: Session, bucket: str, clock: Callable[[], datetime], most: int
    ) -> tuple[bool, BucketUsage]:
        """Count a call to `bucket`, unless it is paused or `most` calls are used.

        Returns whether the call may be made, and the state of the bucket. All processes queue here,
        so that together they never exceed the quota; the clock is read once the lock is held.
        """
        _lock(session, bucket)
        now = clock()
        usage = self.read(session, bucket, now)
        paused = usage.cooldown is not None and usage.cooldown.seconds_left(now) > 0
        if paused or used(usage.calls_by_hour, now) >= most:
            return False, usage
        hour = hour_of(now)
        self.count(session, {(bucket, hour): 1})
        return True, BucketUsage(
            {**usage.calls_by_hour, hour: usage.calls_by_hour.get(hour, 0) + 1}, usage.cooldown
        )

    def read(self, session: Session, bucket: str, now: datetime) -> BucketUsage:
        """Read one bucket, corrected if a clock that was put back has left times in the future."""
        given = {"client_id": self.client_id, "bucket": bucket}
        calls_by_hour: Counter[datetime] = Counter()
        for row in session.execute(COUNTED, {**given, "since": now - COUNTED_FOR}):
            calls_by_hour[row.window] += row.calls
        pauses = session.execute(PAUSED, given).all()
        cooldown = _cooldown_of(pauses[-1]) if pauses else None
        if any(hour > now for hour in calls_by_hour) or (
            cooldown and cooldown != cooldown.corrected(now)
        ):
            return self._correct(session, bucket, now)
        return BucketUsage(calls_by_hour, cooldown)

    def read_all(self, session: Session, now: datetime) -> dict[str, BucketUsage]:
        """Read every bucket that was called in the last day, or has a stored cooldown.

        A cooldown that a fast clock has left starts now, even if no call is made.
        """
        calls_by_hour: dict[str, Counter[datetime]] = {}
        given = {"client_id": self.client_id}
        for row in session.execute(ALL_COUNTED, {**given, "since": now - COUNTED_FOR}):
            calls_by_hour.setdefault(row.bucket, Counter())[row.window] += row.calls
        cooldowns = {row.bucket: _cooldown_of(row) for row in session.execute(ALL_PAUSED, given)}
        for bucket, cooldown in cooldowns.items():
            if cooldown != cooldown.corrected(now):
                cooldowns[bucket] = self._correct(session, bucket, now).cooldown or cooldown
        return {
            bucket: BucketUsage(calls_by_hour.get(bucket, {}), cooldowns.get(bucket))
            for bucket in sorted({*calls_by_hour, *cooldowns})
        }

    def count(self, session: Session, calls: Counts) -> None:
        """Add calls to the counts of their hours."""
        for (bucket, window), number in calls.items():
            given = {"client_id": self.client_id, "bucket": bucket, "window": window}
            session.execute(ADDED, {**given, "calls": number})

    def store_cooldown(self, session: Session, bucket: str, cooldown: Cooldown) -> None:
        """Store a cooldown; the end of an earlier one that lasts longer stays."""
        _lock(session, bucket)
        values = {
            "since": cooldown.since,
            "until": cooldown.until,
            "reason": cooldown.reason,
            "unnamed": cooldown.unnamed,
        }
        statement = insert(models.Cooldown).values(
            client_id=self.client_id, bucket=bucket, **values
        )
        longer = func.greatest(models.Cooldown.until, statement.excluded.until)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[models.Cooldown.client_id, models.Cooldown.bucket],
                set_=values | {"until": longer},
            )
        )

    def end_cooldown(self, session: Session, bucket: str, now: datetime) -> None:
        """Delete a cooldown that has ended, because Spotify has answered again."""
        ended = delete(models.Cooldown).where(models.Cooldown.until <= now)
        session.execute(
            ended.where(models.Cooldown.client_id.in_(self._apps), models.Cooldown.bucket == bucket)
        )

    def _correct(self, session: Session, bucket: str, now: datetime) -> BucketUsage:
        """Move stored calls and the cooldown out of the future, after a fast clock was put back."""
        _lock(session, bucket)
        rows = session.execute(
            delete(Quota)
            .where(Quota.client_id.in_(self._apps), Quota.bucket == bucket)
            .returning(Quota.window, Quota.calls)
        )
        calls: Counter[datetime] = Counter()
        for row in rows:
            calls[row.window] += row.calls
        right = corrected(calls, now)
        self.count(session, {(bucket, window): number for window, number in right.items()})
        stored = select(models.Cooldown).where(
            models.Cooldown.client_id.in_(self._apps), models.Cooldown.bucket == bucket
        )
        for each in session.scalars(stored.with_for_update()):
            cooldown = _cooldown_of(each).corrected(now)
            each.since, each.until = cooldown.since, cooldown.until
        session.flush()
        return self.read(session, bucket, now)


def prune(session: Session, now: datetime) -> None:
    """Delete hours that no longer count, and would not if the clock were put back by days.

    Also deletes ended cooldowns of buckets no longer used, such as those of older versions.
    """
    session.execute(delete(Quota).where(Quota.window <= now - COUNTED_FOR - KEEP))
    session.execute(delete(models.Cooldown).where(models.Cooldown.until <= now - KEEP))


def _lock(session: Session, bucket: str) -> None:
    session.execute(LOCKED, {"bucket": bucket})


def _cooldown_of(row: Any) -> Cooldown:
    return Cooldown(row.since, row.until, row.reason, row.unnamed)
