"""Reads one page of everything kept, as it was at the start of a reading, in one transaction."""

from collections.abc import Collection
from datetime import date

from sqlalchemy.orm import Session

from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.reading import Found, Page, Position, follows_rank, order_of
from server.catalog.snapshot import Baseline
from server.storage import freshness
from server.storage.reading import artists, entries
from server.storage.reading.candidates import few_of, read_listed, read_some
from server.storage.reading.filters import Wanted
from server.storage.reading.orders import Walk
from server.storage.reading.sources import last_given, read_baseline

# For each statement; to start workers takes longer than a page.
SETTINGS = "SET LOCAL statement_timeout = '3s'; SET LOCAL max_parallel_workers_per_gather = 0"


def read_page(
    session: Session,
    query: ReleaseQuery,
    position: Position | None,
    today: date,
    limit: int,
    among: Collection[str] | None = None,
) -> Found | None:
    """Read the page of a query that begins at a position, or else the first page of a new reading.

    `today` is the day in the zone of the query. With `among`, only releases of these artists, by
    Spotify's id. Returns None if the database has never been where the reading began: it is
    another one, or has been restored.
    """
    freshness.as_of_one_moment(session)
    session.connection().exec_driver_sql(SETTINGS)
    baseline = read_baseline(session)
    if position is None:
        position = Position(baseline, today)
    elif not _has_been_at(session, baseline, position.baseline):
        return None
    listed = None if query.at is None else read_listed(session, query)
    changes = baseline.has_changes_since(position.baseline)
    wanted = Wanted(query, position.day, position.baseline, changes, among, listed)
    if isinstance(query, ArtistsQuery):
        return Found(artists.read(session, wanted, position.place, limit), position)
    return Found(_read_albums(session, wanted, position, limit), position)


def _has_been_at(session: Session, now: Baseline, then: Baseline) -> bool:
    """Return whether the database has been at a baseline; its last album may have been deleted."""
    if now.albums < then.albums:
        now = now._replace(albums=last_given(session))
    return all(ours >= theirs for ours, theirs in zip(now, then, strict=True))


def _read_albums(session: Session, wanted: Wanted, position: Position, limit: int) -> Page:
    query = wanted.query
    order = order_of(query)
    downward = follows_rank(order, query.sort)
    walk = Walk(order, downward, query.zone, query.tz, position.place)
    stretch = read_some(session, wanted, walk, limit + 1, few_of(session, wanted, order))
    steps, end = stretch.steps, stretch.end
    if len(steps) > limit:
        steps = steps[:limit]
        end = steps[-1].place
    ids = [step.id for step in steps]
    found = entries.read_by_ids(session, ids, markets="markets" in query.include)
    return Page([found[step.id] for step in steps if step.id in found], end)
