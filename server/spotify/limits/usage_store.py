"""The tables `quota` and `cooldowns`. Each function runs in the caller's transaction."""

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
BUCKET = bindparam("bucket", type_=Quota.bucket.type)
# Made once, because they run before each call to Spotify, and SQLAlchemy makes them more slowly
# than PostgreSQL runs them.
LOCKED = select(func.pg_advisory_xact_lock(LOCK, func.hashtext(BUCKET)))
COUNTED = select(Quota.window, Quota.calls).where(
    Quota.bucket == BUCKET, Quota.window > bindparam("since", type_=Quota.window.type)
)
PAUSED = select(
    models.Cooldown.since, models.Cooldown.until, models.Cooldown.reason, models.Cooldown.unnamed
).where(models.Cooldown.bucket == BUCKET)
ALL_COUNTED = select(Quota.bucket, Quota.window, Quota.calls).where(
    Quota.window > bindparam("since", type_=Quota.window.type)
)
ALL_PAUSED = select(
    models.Cooldown.bucket,
    models.Cooldown.since,
    models.Cooldown.until,
    models.Cooldown.reason,
    models.Cooldown.unnamed,
)
ADDED = insert(cast(Table, Quota.__table__))
ADDED = ADDED.on_conflict_do_update(
    index_elements=[Quota.bucket, Quota.window],
    set_={"calls": Quota.calls + ADDED.excluded.calls},
)
Counts = Mapping[tuple[str, datetime], int]  # calls by bucket and hour


@dataclass(frozen=True)
class BucketUsage:
    """The stored state of a bucket: its calls by the hour; its last cooldown, ended or not."""

    calls_by_hour: CallsByHour = field(default_factory=dict)
    cooldown: Cooldown | None = None


def enter(
    session: Session, bucket: str, clock: Callable[[], datetime], most: int
) -> tuple[bool, BucketUsage]:
    """Count a call to `bucket`, unless it is paused or `most` calls are used.

    Returns whether the call may be made, and the state of the bucket. All processes queue here, so
    that together they never exceed the quota; the clock is read once the lock is held.
    """
    _lock(session, bucket)
    now = clock()
    usage = read(session, bucket, now)
    paused = usage.cooldown is not None and usage.cooldown.seconds_left(now) > 0
    if paused or used(usage.calls_by_hour, now) >= most:
        return False, usage
    hour = hour_of(now)
    count(session, {(bucket, hour): 1})
    return True, BucketUsage(
        {**usage.calls_by_hour, hour: usage.calls_by_hour.get(hour, 0) + 1}, usage.cooldown
    )


def read(session: Session, bucket: str, now: datetime) -> BucketUsage:
    """Read one bucket, corrected if a clock that was put back has left times in the future."""
    rows = session.execute(COUNTED, {"bucket": bucket, "since": now - COUNTED_FOR})
    calls_by_hour = {row.window: row.calls for row in rows}
    pause = session.execute(PAUSED, {"bucket": bucket}).one_or_none()
    cooldown = None if pause is None else Cooldown(*pause)
    if any(hour > now for hour in calls_by_hour) or (
        cooldown and cooldown != cooldown.corrected(now)
    ):
        return _correct(session, bucket, now)
    return BucketUsage(calls_by_hour, cooldown)


def read_all(session: Session, now: datetime) -> dict[str, BucketUsage]:
    """Read every bucket that was called in the last day, or has a stored cooldown.

    A cooldown that a fast clock has left starts now, even if no call is made.
    """
    calls_by_hour: dict[str, dict[datetime, int]] = {}
    for row in session.execute(ALL_COUNTED, {"since": now - COUNTED_FOR}):
        calls_by_hour.setdefault(row.bucket, {})[row.window] = row.calls
    cooldowns = {row.bucket: _cooldown_of(row) for row in session.execute(ALL_PAUSED)}
    for bucket, cooldown in cooldowns.items():
        if cooldown != cooldown.corrected(now):
            cooldowns[bucket] = _correct(session, bucket, now).cooldown or cooldown
    return {
        bucket: BucketUsage(calls_by_hour.get(bucket, {}), cooldowns.get(bucket))
        for bucket in sorted({*calls_by_hour, *cooldowns})
    }


def count(session: Session, calls: Counts) -> None:
    """Add calls to the counts of their hours."""
    for (bucket, window), number in calls.items():
        session.execute(ADDED, {"bucket": bucket, "window": window, "calls": number})


def store_cooldown(session: Session, bucket: str, cooldown: Cooldown) -> None:
    """Store a cooldown; the end of an earlier one that lasts longer stays."""
    _lock(session, bucket)
    values = {
        "since": cooldown.since,
        "until": cooldown.until,
        "reason": cooldown.reason,
        "unnamed": cooldown.unnamed,
    }
    statement = insert(models.Cooldown).values(bucket=bucket, **values)
    longer = func.greatest(models.Cooldown.until, statement.excluded.until)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[models.Cooldown.bucket], set_=values | {"until": longer}
        )
    )


def end_cooldown(session: Session, bucket: str, now: datetime) -> None:
    """Delete a cooldown that has ended, because Spotify has answered again."""
    session.execute(
        delete(models.Cooldown).where(
            models.Cooldown.bucket == bucket, models.Cooldown.until <= now
        )
    )


def prune(session: Session, now: datetime) -> None:
    """Delete hours that no longer count, and would not if the clock were put back by days.

    Also deletes ended cooldowns of buckets no longer used, such as those of older versions.
    """
    session.execute(delete(Quota).where(Quota.window <= now - COUNTED_FOR - KEEP))
    session.execute(delete(models.Cooldown).where(models.Cooldown.until <= now - KEEP))


def _correct(session: Session, bucket: str, now: datetime) -> BucketUsage:
    """Move stored calls and the cooldown out of the future, after a fast clock was put back."""
    _lock(session, bucket)
    rows = session.execute(
        delete(Quota).where(Quota.bucket == bucket).returning(Quota.window, Quota.calls)
    )
    right = corrected({row.window: row.calls for row in rows}, now)
    count(session, {(bucket, window): calls for window, calls in right.items()})
    row = session.get(models.Cooldown, bucket, with_for_update=True)
    if row is not None:
        cooldown = _cooldown_of(row).corrected(now)
        row.since, row.until = cooldown.since, cooldown.until
        session.flush()
    return read(session, bucket, now)


def _lock(session: Session, bucket: str) -> None:
    session.execute(LOCKED, {"bucket": bucket})


def _cooldown_of(row: Any) -> Cooldown:
    return Cooldown(row.since, row.until, row.reason, row.unnamed)
