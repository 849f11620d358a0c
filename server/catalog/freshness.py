"""How fresh the local copy is, in one statement by indexes alone."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ScalarSelect, Text, cast, func, select
from sqlalchemy.orm import Session

from models import Album, Artist, Change, SyncRun
from server.catalog.runs import new_at
from server.catalog.snapshot import Freshness

BROUGHT = ("complete", "partial")


def read(session: Session) -> Freshness:
    """What the syncs so far have left."""
    complete = _last(SyncRun.finished_at, SyncRun.outcome == "complete")
    partial = _last(SyncRun.finished_at, SyncRun.outcome == "partial")
    changed = func.greatest(
        _last(SyncRun.finished_at, SyncRun.changed),
        select(func.max(Artist.updated_at)).scalar_subquery(),
        select(Change.at).order_by(Change.seq.desc()).limit(1).scalar_subquery(),
    )
    synced = func.greatest(complete, partial)
    last = SyncRun.outcome.in_(BROUGHT) & (SyncRun.finished_at == synced)
    row = session.execute(
        select(
            changed.label("as_of"),
            synced.label("synced_at"),
            complete.label("complete_at"),
            (partial == synced).label("partial"),
            _last(SyncRun.source, last).label("source"),
            _last(SyncRun.why, last).label("why"),
            new_at().label("new_at"),
            _newest_release().label("newest_release"),
        )
    ).one()
    values = row._asdict()
    return Freshness(**{**values, "partial": bool(values["partial"])})


def _last(column: Any, condition: Any) -> ScalarSelect[Any]:
    newest = SyncRun.finished_at.desc()
    return select(column).where(condition).order_by(newest).limit(1).scalar_subquery()


def _newest_release() -> ScalarSelect[str | None]:
    """The newest date that is not later than tomorrow: what is later is only announced."""
    tomorrow = func.to_char(func.now() + timedelta(days=1), "YYYY-MM-DD")
    dates = select(func.max(Album.release_date))
    return dates.where(Album.release_date <= cast(tomorrow, Text(collation="C"))).scalar_subquery()
