"""The tables `quota` and `cooldowns`. Each function runs in the caller's transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import Cooldown, Quota
from server.spotify.limits.cooldown import Pause
from server.spotify.limits.quota import REACH, Windows, corrected, hour_of, used

LOCK = 0x71756F74  # first key of an advisory lock, an arbitrary number; the second is the bucket
KEEP = timedelta(days=30)  # rows that no longer count
Counts = Mapping[tuple[str, datetime], int]  # calls by bucket and hour


@dataclass(frozen=True)
class BucketUsage:
    """The stored state of one bucket: its calls by the hour, and its last pause, ended or not."""

    windows: Windows = field(default_factory=dict)
    pause: Pause | None = None


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
    paused = usage.pause is not None and usage.pause.seconds_left(now) > 0
    if paused or used(usage.windows, now) >= most:
        return False, usage
    hour = hour_of(now)
    count(session, {(bucket, hour): 1})
    return True, BucketUsage({**usage.windows, hour: usage.windows.get(hour, 0) + 1}, usage.pause)


def read(session: Session, bucket: str, now: datetime) -> BucketUsage:
    """Read one bucket, corrected if a clock that was put back has left times in the future."""
    rows = session.execute(
        select(Quota.window, Quota.calls).where(Quota.bucket == bucket, Quota.window > now - REACH)
    )
    windows = {row.window: row.calls for row in rows}
    pause = _pause(session.get(Cooldown, bucket))
    if any(window > now for window in windows) or (pause and pause != pause.corrected(now)):
        return _correct(session, bucket, now)
    return BucketUsage(windows, pause)


def read_all(session: Session, now: datetime) -> dict[str, BucketUsage]:
    """Read every bucket that was called in the last day, or has a stored pause.

    A pause that a fast clock has left starts now, even if no call is made.
    """
    windows: dict[str, dict[datetime, int]] = {}
    for row in session.scalars(select(Quota).where(Quota.window > now - REACH)):
        windows.setdefault(row.bucket, {})[row.window] = row.calls
    pauses = {row.bucket: _pause_of(row) for row in session.scalars(select(Cooldown))}
    for bucket, pause in pauses.items():
        if pause != pause.corrected(now):
            pauses[bucket] = _correct(session, bucket, now).pause or pause
    return {
        bucket: BucketUsage(windows.get(bucket, {}), pauses.get(bucket))
        for bucket in sorted({*windows, *pauses})
    }


def count(session: Session, calls: Counts) -> None:
    """Add calls to the counts of their hours."""
    for (bucket, window), number in calls.items():
        session.execute(
            insert(Quota)
            .values(bucket=bucket, window=window, calls=number)
            .on_conflict_do_update(
                index_elements=[Quota.bucket, Quota.window], set_={"calls": Quota.calls + number}
            )
        )


def pause(session: Session, bucket: str, pause: Pause) -> None:
    """Store a pause; the end of an earlier one that lasts longer stays."""
    _lock(session, bucket)
    values = {
        "since": pause.since,
        "until": pause.until,
        "reason": pause.reason,
        "unnamed": pause.unnamed,
    }
    statement = insert(Cooldown).values(bucket=bucket, **values)
    longer = func.greatest(Cooldown.until, statement.excluded.until)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Cooldown.bucket], set_=values | {"until": longer}
        )
    )


def resume(session: Session, bucket: str, now: datetime) -> None:
    """Delete a pause that has ended, because Spotify has answered again."""
    session.execute(delete(Cooldown).where(Cooldown.bucket == bucket, Cooldown.until <= now))


def prune(session: Session, now: datetime) -> None:
    """Delete hours that no longer count, and would not if the clock were put back by days.

    Also deletes ended pauses of buckets that are no longer used, such as those of older versions.
    """
    session.execute(delete(Quota).where(Quota.window <= now - REACH - KEEP))
    session.execute(delete(Cooldown).where(Cooldown.until <= now - KEEP))


def _correct(session: Session, bucket: str, now: datetime) -> BucketUsage:
    """Move stored calls and the pause out of the future, after a fast clock was put back."""
    _lock(session, bucket)
    rows = session.execute(
        delete(Quota).where(Quota.bucket == bucket).returning(Quota.window, Quota.calls)
    )
    right = corrected({row.window: row.calls for row in rows}, now)
    count(session, {(bucket, window): calls for window, calls in right.items()})
    row = session.get(Cooldown, bucket, with_for_update=True)
    if row is not None:
        pause = _pause_of(row).corrected(now)
        row.since, row.until = pause.since, pause.until
        session.flush()
    return read(session, bucket, now)


def _lock(session: Session, bucket: str) -> None:
    session.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(bucket))))


def _pause(row: Cooldown | None) -> Pause | None:
    return None if row is None else _pause_of(row)


def _pause_of(row: Cooldown) -> Pause:
    return Pause(row.since, row.until, row.reason, row.unnamed)
