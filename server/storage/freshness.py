"""The freshness of the local copy, read in two statements that use only indexes.

The latest sync is the one with the highest id: times go back when a fast clock is corrected.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnExpressionArgument, ScalarSelect, Select, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from models import Album, Artist, ArtistCheck, Change, Listing, SyncRun
from server.catalog.snapshot import Freshness
from server.storage import changes
from server.storage.sync_runs import last_stored, latest_at, new_at

SKEW = timedelta(minutes=5)  # by which a host's clock may be ahead of the database's


def as_of_one_moment(session: Session) -> None:
    """Let all statements of a transaction see what was stored when the first one began.

    Call it before the first statement, so that a list and the place in the journal that it names
    agree.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def read(session: Session) -> Freshness:
    """Read the freshness of the local copy after the syncs so far."""
    place = str(changes.reach(session).place)
    values = session.execute(_statement()).one()._asdict()
    return Freshness(**{**values, "partial": values["partial"] == "partial", "place": place})


@cache
def _statement() -> Select[Any]:
    changed = func.greatest(
        latest_at(SyncRun.changed),
        _artists_at(),
        _checks_at(ArtistCheck.changed),
        select(Change.at).order_by(Change.seq.desc()).limit(1).scalar_subquery(),
    )
    return select(
        changed.label("as_of"),
        last_stored(SyncRun.finished_at).scalar_subquery().label("synced_at"),
        latest_at(SyncRun.outcome == "complete").label("complete_at"),
        last_stored(SyncRun.outcome).scalar_subquery().label("partial"),
        last_stored(SyncRun.source).scalar_subquery().label("source"),
        last_stored(SyncRun.why).scalar_subquery().label("why"),
        last_stored(SyncRun.id).scalar_subquery().label("run"),
        new_at().label("new_at"),
        _newest_release().label("newest_release"),
        select(func.min(Listing.since)).scalar_subquery().label("watched_since"),
        _checks_at(or_(ArtistCheck.seen > 0, ArtistCheck.not_modified > 0)).label("seen_at"),
    )


def _artists_at() -> ScalarSelect[Any]:
    """Select when an artist last changed, ignoring times in the future (a clock ran ahead)."""
    at = select(func.max(Artist.updated_at))
    return at.where(Artist.updated_at <= func.now() + SKEW).scalar_subquery()


def _checks_at(condition: ColumnExpressionArgument[bool]) -> ScalarSelect[datetime]:
    """Select when the latest check that satisfies `condition` was, ignoring times in the future."""
    at = select(func.max(ArtistCheck.at)).where(condition)
    return at.where(ArtistCheck.at <= func.now() + SKEW).scalar_subquery()


def _newest_release() -> ScalarSelect[str | None]:
    """Select the newest release date, ignoring announcements (later than tomorrow)."""
    tomorrow = func.to_char(func.now() + timedelta(days=1), "YYYY-MM-DD")
    dates = select(func.max(Album.release_date))
    return dates.where(Album.release_date <= cast(tomorrow, Text(collation="C"))).scalar_subquery()
