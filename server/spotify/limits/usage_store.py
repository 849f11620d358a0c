"""The tables `quota`, `cooldowns` and `ceilings`; each method runs in the caller's transaction."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

import models
from models import Quota
from server.spotify.limits.budget import BucketUsage, Budget
from server.spotify.limits.ceiling import REMEMBERED, Ceiling
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import COUNTED_FOR, CallsByHour, corrected, hour_of
from server.spotify.types import Purpose

LOCK = 0x71756F74  # first key of an advisory lock, an arbitrary number; the second is the bucket
KEEP = timedelta(days=30)  # rows that no longer count
UNKNOWN = ""  # the client id of rows from before client ids were stored: they count for every app
BUCKET = bindparam("bucket", type_=Quota.bucket.type)
SINCE = bindparam("since", type_=Quota.window.type)
APP = bindparam("client_id", type_=Quota.client_id.type)
# Made once, because they run before each call to Spotify, and SQLAlchemy makes them more slowly
# than PostgreSQL runs them.
LOCKED = select(func.pg_advisory_xact_lock(LOCK, func.hashtext(BUCKET)))
ALL_COUNTED = select(Quota.bucket, Quota.window, Quota.calls, Quota.following).where(
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
    set_={
        "calls": Quota.calls + ADDED.excluded.calls,
        "following": Quota.following + ADDED.excluded.following,
    },
)
ALL_LEARNT = select(
    models.Ceiling.bucket,
    models.Ceiling.per_day,
    models.Ceiling.changed_at,
    models.Ceiling.refused_at,
    models.Ceiling.refused_calls,
).where(models.Ceiling.client_id == APP)
LEARNT = ALL_LEARNT.where(models.Ceiling.bucket == BUCKET)
Counts = Mapping[tuple[str, datetime], int]  # calls by bucket and hour


@dataclass(frozen=True)
class UsageStore:
    """What is stored of the buckets of one app, by its `client_id`."""

    client_id: str

    @property
    def _apps(self) -> tuple[str, str]:
        return UNKNOWN, self.client_id

    def enter(
        self,
        session: Session,
        bucket: str,
        clock: Callable[[], datetime],
        purpose: Purpose,
        budget: Budget,
        pending: int = 0,
    ) -> tuple[bool, BucketUsage]:
        """Count a call to `bucket`, unless it is paused or the budget has no room for the purpose.

        `pending` is the number of earlier calls that are not stored yet. Returns whether the call
        may be made, and the state of the bucket, whose ceiling is raised if that is due. All
        processes queue here, so that together they never exceed the quota; the clock is read once
        the lock is held.
        """
        _lock(session, bucket)
        now = clock()
        usage = self.read(session, bucket, now)
        ceiling = budget.ceiling(bucket, usage, now)
        if ceiling is not None and ceiling != usage.ceiling:
            self._write_ceiling(session, bucket, ceiling)
            usage = replace(usage, ceiling=ceiling)
        if usage.is_paused(now) or budget.room(bucket, usage, purpose, now) <= pending:
            return False, usage
        call = {(bucket, hour_of(now)): 1}
        self.count(session, call, call if purpose == "following" else {})
        return True, usage.with_call(hour_of(now), purpose)

    def read(self, session: Session, bucket: str, now: datetime) -> BucketUsage:
        """Read one bucket, corrected if a clock that was put back has left times in the future."""
        given = {"client_id": self.client_id, "bucket": bucket}
        calls_by_hour: Counter[datetime] = Counter()
        following: Counter[datetime] = Counter()
        for row in session.execute(COUNTED, {**given, "since": now - COUNTED_FOR}):
            calls_by_hour[row.window] += row.calls
            following[row.window] += row.following
        pauses = session.execute(PAUSED, given).all()
        cooldown = _cooldown_of(pauses[-1]) if pauses else None
        if any(hour > now for hour in calls_by_hour) or (
            cooldown and cooldown != cooldown.corrected(now)
        ):
            return self._correct(session, bucket, now)
        learnt = session.execute(LEARNT, given).first()
        ceiling = _ceiling_of(learnt) if learnt else None
        return BucketUsage(calls_by_hour, cooldown, ceiling, +following)

    def read_all(self, session: Session, now: datetime) -> dict[str, BucketUsage]:
        """Read every bucket that was called in the last day, or has a cooldown or a ceiling.

        A cooldown that a fast clock has left starts now, even if no call is made.
        """
        calls_by_hour: dict[str, Counter[datetime]] = {}
        following: dict[str, Counter[datetime]] = {}
        given = {"client_id": self.client_id}
        for row in session.execute(ALL_COUNTED, {**given, "since": now - COUNTED_FOR}):
            calls_by_hour.setdefault(row.bucket, Counter())[row.window] += row.calls
            following.setdefault(row.bucket, Counter())[row.window] += row.following
        cooldowns = {row.bucket: _cooldown_of(row) for row in session.execute(ALL_PAUSED, given)}
        for bucket, cooldown in cooldowns.items():
            if cooldown != cooldown.corrected(now):
                cooldowns[bucket] = self._correct(session, bucket, now).cooldown or cooldown
        ceilings = {row.bucket: _ceiling_of(row) for row in session.execute(ALL_LEARNT, given)}
        return {
            bucket: BucketUsage(
                calls_by_hour.get(bucket, {}),
                cooldowns.get(bucket),
                ceilings.get(bucket),
                +following.get(bucket, Counter()),
            )
            for bucket in sorted({*calls_by_hour, *cooldowns, *ceilings})
        }

    def count(
        self, session: Session, calls: Counts, following: Counts = MappingProxyType({})
    ) -> None:
        """Add calls to the counts of their hours; `following` are those for followed artists."""
        for (bucket, window), number in calls.items():
            given = {"client_id": self.client_id, "bucket": bucket, "window": window}
            of_them = following.get((bucket, window), 0)
            session.execute(ADDED, {**given, "calls": number, "following": of_them})

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

    def lower_ceiling(self, session: Session, bucket: str, ceiling: Ceiling) -> None:
        """Store what a refusal has taught; a ceiling that is lower already stays."""
        _lock(session, bucket)
        learnt = session.execute(LEARNT, {"client_id": self.client_id, "bucket": bucket}).first()
        known = learnt.per_day if learnt else ceiling.per_day
        self._write_ceiling(session, bucket, replace(ceiling, per_day=min(known, ceiling.per_day)))

    def _write_ceiling(self, session: Session, bucket: str, ceiling: Ceiling) -> None:
        values = {
            "per_day": ceiling.per_day,
            "changed_at": ceiling.changed_at,
            "refused_at": ceiling.refused_at,
            "refused_calls": ceiling.refused_calls,
        }
        statement = insert(models.Ceiling).values(client_id=self.client_id, bucket=bucket, **values)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[models.Ceiling.client_id, models.Ceiling.bucket], set_=values
            )
        )

    def _correct(self, session: Session, bucket: str, now: datetime) -> BucketUsage:
        """Move stored calls and the cooldown out of the future, after a fast clock was put back."""
        _lock(session, bucket)
        rows = session.execute(
            delete(Quota)
            .where(Quota.client_id.in_(self._apps), Quota.bucket == bucket)
            .returning(Quota.window, Quota.calls, Quota.following)
        )
        calls: Counter[datetime] = Counter()
        following: Counter[datetime] = Counter()
        for row in rows:
            calls[row.window] += row.calls
            following[row.window] += row.following
        right, of_them = corrected(calls, now), corrected(following, now, among=calls)
        self.count(session, _of(bucket, right), _of(bucket, of_them))
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

    Also deletes ended cooldowns and old ceilings of buckets no longer used.
    """
    session.execute(delete(Quota).where(Quota.window <= now - COUNTED_FOR - KEEP))
    session.execute(delete(models.Cooldown).where(models.Cooldown.until <= now - KEEP))
    ceiling = models.Ceiling
    in_use = exists().where(Quota.client_id == ceiling.client_id, Quota.bucket == ceiling.bucket)
    session.execute(delete(ceiling).where(ceiling.changed_at <= now - REMEMBERED, ~in_use))


def _of(bucket: str, calls_by_hour: CallsByHour) -> Counts:
    return {(bucket, window): number for window, number in calls_by_hour.items()}


def _lock(session: Session, bucket: str) -> None:
    session.execute(LOCKED, {"bucket": bucket})


def _cooldown_of(row: Any) -> Cooldown:
    return Cooldown(row.since, row.until, row.reason, row.unnamed)


def _ceiling_of(row: Any) -> Ceiling:
    return Ceiling(row.per_day, row.changed_at, row.refused_at, row.refused_calls)
