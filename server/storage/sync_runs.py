"""The history of syncs, and the verdicts: which sources and markets this app may use."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from typing import cast as cast_type

from sqlalchemy import (
    ColumnExpressionArgument,
    Date,
    Integer,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    cast,
    func,
    insert,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from models import Source, SyncRun
from server.spotify.sweep import Sweep, Tally
from server.spotify.types import SOURCE_ORDER, SourceName, Verdict, Verdicts

MARKET = "search:"  # prefix of the names of markets in the table `sources`
ARTIST_SEARCH = "search:artist"  # the search for one artist's new releases, not a market
DAY = timedelta(days=1)
DAYS = 30  # that `read_days` covers
APP = bindparam("client_id", type_=Source.client_id.type)
VERDICTS = (  # those from before client ids were stored come first, so that newer ones replace them
    select(Source.name, Source.verdict, Source.reason, Source.probed_at, Source.newest)
    .where(Source.client_id.in_(("", APP)))
    .order_by(Source.client_id == APP)
)
JUDGED = upsert(cast_type(Table, Source.__table__))
JUDGED = JUDGED.on_conflict_do_update(
    index_elements=[Source.client_id, Source.name],
    set_={name: JUDGED.excluded[name] for name in ("verdict", "reason", "probed_at", "newest")},
)


@dataclass(frozen=True)
class SyncHistory:
    """What earlier syncs have left: verdicts, the last source, and how the last sync ended.

    `verdicts` are those on sources, `markets` those on markets by country code. `stored` is the id
    of the latest sync that stored a sweep, complete or partial.
    """

    verdicts: dict[SourceName, Verdict]
    markets: dict[str, Verdict] = field(default_factory=dict)
    source: SourceName | None = None
    finished_at: datetime | None = None
    outcome: str | None = None
    error: str | None = None
    stored: int | None = None

    @property
    def failures(self) -> int:
        """The number of syncs that were not complete just before, as far as is stored: 0 or 1."""
        return int(self.outcome not in (None, "complete"))


def record_run(
    session: Session, sweep: Sweep, tally: Tally, started_at: datetime, at: datetime
) -> datetime:
    """Record a sync that stored a sweep.

    Returns when a sync last brought new albums, or when the first one ended if none ever did.
    """
    values = {
        "source": sweep.source,
        "why": sweep.why,
        "outcome": sweep.outcome,
        "started_at": started_at,
        "finished_at": at,
        "calls": sweep.calls,
        "seen": len(sweep.releases),
        "added": tally.added,
        "updated": tally.updated,
        "gone": tally.gone,
        "skipped": sweep.skipped,
        "changed": tally.changed,
        "error": sweep.error,
    }
    before = session.scalar(insert(SyncRun).values(**values).returning(new_at()))
    return at if tally.added or before is None else before


def record_failure(
    session: Session,
    verdicts: Verdicts,
    calls: int,
    error: str,
    started_at: datetime,
    at: datetime,
) -> None:
    """Record a sync that failed, and what it has learnt all the same; the catalogue stays."""
    record_verdicts(session, verdicts)
    nothing = {"seen": 0, "added": 0, "updated": 0, "gone": 0, "skipped": 0, "changed": False}
    session.execute(
        insert(SyncRun).values(
            outcome="failed",
            started_at=started_at,
            finished_at=at,
            calls=calls,
            error=error,
            **nothing,
        )
    )


def load_history(session: Session, client_id: str) -> SyncHistory:
    """Read what earlier syncs left: verdict per source and market, last source, last outcome.

    The verdicts are those on the app with this `client_id`.
    """
    run = session.execute(_last_run()).one_or_none()
    verdicts = _load_verdicts(session, client_id)
    known = {name: verdicts[name] for name in SOURCE_ORDER if name in verdicts}
    if run is None:
        return SyncHistory(known, _of_markets(verdicts))
    return SyncHistory(
        known,
        _of_markets(verdicts),
        run.source if run.source in SOURCE_ORDER else None,
        run.finished_at,
        run.outcome,
        run.error,
        run.stored,
    )


@cache
def _last_run() -> Select[Any]:
    """Select how the last sync ended, with the last source and the last sync that stored."""
    earlier = aliased(SyncRun)
    sources = select(earlier.source).where(earlier.source.is_not(None))
    stored = select(earlier.id).where(earlier.outcome != "failed")
    last = select(
        SyncRun.finished_at,
        SyncRun.outcome,
        SyncRun.error,
        *(
            each.order_by(earlier.id.desc()).limit(1).scalar_subquery().label(name)
            for name, each in (("source", sources), ("stored", stored))
        ),
    )
    return last.order_by(SyncRun.id.desc()).limit(1)  # times may go back, ids do not


def load_markets(session: Session, client_id: str) -> dict[str, Verdict]:
    """Read the verdicts on markets for an app, by country code."""
    return _of_markets(_load_verdicts(session, client_id))


def _load_verdicts(session: Session, client_id: str) -> dict[str, Verdict]:
    """Read the verdicts on an app; where it has none, those from before client ids were stored."""
    rows = session.execute(VERDICTS, {"client_id": client_id})
    return {row.name: _verdict(row) for row in rows}


def _of_markets(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    return {
        name.removeprefix(MARKET): verdict
        for name, verdict in verdicts.items()
        if name.startswith(MARKET) and name != ARTIST_SEARCH
    }


def _verdict(row: Any) -> Verdict:
    return Verdict(row.verdict == "allowed", row.reason, row.probed_at, row.newest)


def last_stored(column: Any) -> Select[Any]:
    """Select a column of the last sync that stored a sweep, complete or partial.

    The last is the one with the highest id, because a fast clock may have been corrected since.
    """
    stored = select(column).where(SyncRun.outcome != "failed")
    return stored.order_by(SyncRun.id.desc()).limit(1)


def latest_at(condition: ColumnExpressionArgument[bool]) -> ScalarSelect[datetime]:
    """Select when the latest run that satisfies `condition` ended, as a subquery.

    The latest is the one with the highest id, because a fast clock may have been corrected since.
    """
    at = select(SyncRun.finished_at).where(condition)
    return at.order_by(SyncRun.id.desc()).limit(1).scalar_subquery()


def read_since(session: Session, sources: Collection[str], since: datetime) -> Sequence[str | None]:
    """Return which of some sources a complete sync has read after `since`."""
    ended = select(SyncRun.source).where(SyncRun.outcome == "complete", SyncRun.finished_at > since)
    return session.scalars(ended.where(SyncRun.source.in_(sources)).distinct()).all()


def is_steady(
    session: Session, now: datetime, condition: ColumnExpressionArgument[bool] | None = None
) -> bool:
    """Return whether syncs that satisfy `condition` ended both today and the day before.

    The latest one has to be of today. A clock that has just jumped ahead makes everything look old,
    but not for two days in a row. A clock that was behind and has been corrected does so until the
    next sync. Whatever deletes or closes by age asks this first.
    """
    counted = true() if condition is None else condition
    ended = select(SyncRun.id).where(counted)
    today = ended.where(SyncRun.finished_at.between(now - DAY, now)).exists()
    before = ended.where(SyncRun.finished_at.between(now - 2 * DAY, now - DAY)).exists()
    latest = latest_at(counted).between(now - DAY, now)
    return bool(session.scalar(select(today & before & latest)))


def new_at() -> ScalarSelect[datetime]:
    """Select when a sync last added albums, or when the first stored one ended if none did."""
    stored = select(SyncRun.finished_at).where(SyncRun.outcome != "failed")
    first = stored.order_by(SyncRun.id).limit(1).scalar_subquery()
    return select(func.coalesce(latest_at(SyncRun.added > 0), first)).scalar_subquery()


def load_verdict(session: Session, client_id: str, name: str) -> Verdict | None:
    """Read the verdict on a source, or on another endpoint that is probed like one."""
    return _load_verdicts(session, client_id).get(name)


def record_verdicts(session: Session, verdicts: Verdicts) -> None:
    """Store what a sweep has learnt of sources and markets."""
    named: dict[str, Verdict] = dict(verdicts.sources.items())
    named |= {MARKET + market: verdict for market, verdict in verdicts.markets.items()}
    for name in sorted(named):  # in one order, so that two writers cannot lock each other out
        record_verdict(session, verdicts.client_id, name, named[name])


def record_verdict(session: Session, client_id: str, name: str, verdict: Verdict) -> None:
    """Store the verdict on a source, or on another endpoint that is probed like one."""
    values = {
        "verdict": "allowed" if verdict.allowed else "restricted",
        "reason": verdict.reason,
        "probed_at": verdict.probed_at,
        "newest": verdict.newest,
    }
    session.execute(JUDGED, {"client_id": client_id, "name": name, **values})


@dataclass(frozen=True)
class Day:
    """One day (UTC): its syncs, how many of them failed, and the releases that they added."""

    day: date
    syncs: int = 0
    failed: int = 0
    added: int = 0


def read_days(session: Session, now: datetime) -> tuple[Day, ...]:
    """Read the days of the last DAYS on which syncs ended, the earliest first."""
    rows = session.execute(_days(), {"since": now - timedelta(days=DAYS)})
    return tuple(Day(*row) for row in rows)


@cache
def _days() -> Select[date, int, int, int]:
    day = cast(func.timezone("UTC", SyncRun.finished_at), Date).label("day")
    failed = func.count().filter(SyncRun.outcome == "failed")
    added = cast(func.coalesce(func.sum(SyncRun.added), 0), Integer)
    rows = select(day, func.count(), failed, added)
    recent = rows.where(SyncRun.finished_at >= bindparam("since"))
    return recent.group_by(day).order_by(day)


def fill_days(days: Sequence[Day], today: date) -> list[Day]:
    """Return each of the last DAYS days, the earliest first, with zeros where nothing happened."""
    known = {each.day: each for each in days}
    last = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return [known.get(day, Day(day)) for day in last]
