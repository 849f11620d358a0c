"""What the syncs of each of the last thirty days have brought, in one statement by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Date, Integer, cast, func, select
from sqlalchemy.orm import Session

from models import SyncRun

DAYS = 30


@dataclass(frozen=True)
class Day:
    """One day (UTC): its syncs, those of them that failed, and the releases that came in."""

    day: date
    syncs: int = 0
    failed: int = 0
    added: int = 0


def read(session: Session, now: datetime) -> tuple[Day, ...]:
    """The days on which anything was synced, the earliest first."""
    day = cast(func.timezone("UTC", SyncRun.finished_at), Date).label("day")
    failed = func.count().filter(SyncRun.outcome == "failed")
    added = cast(func.coalesce(func.sum(SyncRun.added), 0), Integer)
    begin = now - timedelta(days=DAYS)
    rows = select(day, func.count(), failed, added).where(SyncRun.finished_at >= begin)
    return tuple(Day(*row) for row in session.execute(rows.group_by(day).order_by(day)))


def complete(days: Sequence[Day], today: date) -> list[Day]:
    """Each of the last thirty days, the earliest first, also those on which nothing was."""
    known = {each.day: each for each in days}
    last = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return [known.get(day, Day(day)) for day in last]
