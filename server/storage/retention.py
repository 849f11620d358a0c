"""What is no longer to be kept: albums not seen for long, artists without any, old journals.

Spotify's terms do not let its content be kept indefinitely (developer.spotify.com/terms, IV.3).
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, SyncRun
from server.database.executor import Database
from server.errors import DatabaseError
from server.spotify.limits import quota_store
from server.storage import changes
from server.storage.bulk import IN_BULK, among
from server.storage.changes import AlbumChange
from server.storage.sweeps import CHANNEL, WRITERS_LOCK
from server.storage.sync_runs import latest_at
from server.tasks import attempt

BATCH = 500  # rows of a table that one transaction deletes
RECENT = timedelta(days=1)

log = structlog.get_logger()


@dataclass(frozen=True)
class Cleared:
    """How many rows one batch deleted."""

    albums: int = 0
    artists: int = 0
    entries: int = 0  # of journals

    @property
    def more(self) -> bool:
        """Whether there may be more to delete."""
        return BATCH in (self.albums, self.artists, self.entries)


class Retention:
    """Clears in small batches; `keep` is how long an album stays that no sync has seen.

    Nothing is deleted but after two days with complete syncs: what could not be seen is not unseen.
    """

    def __init__(
        self,
        database: Database,
        announce: Callable[[], Awaitable[None]],
        keep: timedelta,
        now: Callable[[], datetime],
        origin: str = "",
    ) -> None:
        self._database = database
        self._announce = announce
        self._keep = keep
        self._now = now
        self._origin = origin

    async def tick(self) -> None:
        """What the timer calls once in a while."""
        with suppress(DatabaseError):
            await self.clear()

    async def clear(self) -> Cleared:
        """Delete all that is due; how much that was. Raises DatabaseError."""
        total = Cleared()
        while True:
            batch = await self._database.run(clear_batch, self._now(), self._keep, self._origin)
            total = Cleared(
                total.albums + batch.albums,
                total.artists + batch.artists,
                total.entries + batch.entries,
            )
            if not batch.more:
                break
        if total.albums or total.artists:
            log.info("retention_cleared", albums=total.albums, artists=total.artists)
            await attempt(self._announce)
        return total


def clear_batch(session: Session, now: datetime, keep: timedelta, origin: str = "") -> Cleared:
    """Delete one batch of each, in the caller's transaction; syncs wait for it."""
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    quota_store.prune(session, now)
    if not _is_steady(session, now):
        return Cleared()
    albums = _clear_albums(session, now - keep, now)
    artists = _clear_artists(session)
    if albums or artists:
        session.execute(select(func.pg_notify(CHANNEL, origin)))
    entries = changes.prune(session, now - keep, BATCH)
    return Cleared(albums, artists, max(entries, _clear_runs(session, now - keep)))


def _is_steady(session: Session, now: datetime) -> bool:
    """Whether syncs were complete both today and the day before, the latest one today.

    A clock that has just jumped ahead makes everything look old, but not for two days in a row; and
    one that was behind and has been put right does, until the next sync has seen everything again.
    """
    complete = select(SyncRun.id).where(SyncRun.outcome == "complete")
    today = complete.where(SyncRun.finished_at.between(now - RECENT, now)).exists()
    before = complete.where(SyncRun.finished_at.between(now - 2 * RECENT, now - RECENT)).exists()
    latest = latest_at(SyncRun.outcome == "complete")
    return bool(session.scalar(select(today & before & latest.between(now - RECENT, now))))


def _clear_albums(session: Session, before: datetime, now: datetime) -> int:
    """Delete old albums with their credits and listings, and journal what each of them was."""
    wanted = Album.last_seen_at < before
    old = select(Album.spotify_id).where(wanted).order_by(Album.last_seen_at).limit(BATCH)
    albums = sorted(session.scalars(old))
    if albums:
        described = changes.describe(session, albums)
        gone = delete(Album).where(among(Album.spotify_id, albums))
        session.execute(gone, execution_options=IN_BULK)
        deleted = [AlbumChange(album, "deleted") for album in albums]
        changes.record(session, deleted, described, now)
    return len(albums)


def _clear_artists(session: Session) -> int:
    alone = select(Artist.id).where(~exists().where(AlbumArtist.artist_id == Artist.id))
    gone = delete(Artist).where(Artist.id.in_(alone.limit(BATCH).scalar_subquery()))
    return len(session.scalars(gone.returning(Artist.id), execution_options=IN_BULK).all())


def _clear_runs(session: Session, before: datetime) -> int:
    """Delete old runs; the newest one of each outcome stays, for it says how fresh all is."""
    kinds = SyncRun.outcome, SyncRun.changed, SyncRun.added > 0
    newest = select(func.max(SyncRun.id)).group_by(*kinds)
    runs = (
        select(SyncRun.id)
        .where(SyncRun.finished_at < before, SyncRun.id.not_in(newest))
        .order_by(SyncRun.finished_at)
        .limit(BATCH)
    )
    old = delete(SyncRun).where(SyncRun.id.in_(runs.scalar_subquery())).returning(SyncRun.id)
    return len(session.scalars(old, execution_options=IN_BULK).all())
