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

from models import Album, AlbumArtist, Artist, Change, SyncRun
from server.catalog.listings import AlbumChange, record_changes
from server.catalog.rows import IN_BULK
from server.catalog.runs import latest_at
from server.catalog.store import CHANNEL, WRITERS_LOCK
from server.database import Database
from server.errors import DatabaseError
from server.spotify import quota

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
            await self._announce()
        return total


def clear_batch(session: Session, now: datetime, keep: timedelta, origin: str = "") -> Cleared:
    """Delete one batch of each, in the caller's transaction; syncs wait for it."""
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    quota.prune(session, now)
    if not _is_steady(session, now):
        return Cleared()
    albums = _clear_albums(session, now - keep)
    record_changes(session, [AlbumChange(album, "deleted") for album in albums], now)
    artists = _clear_artists(session)
    if albums or artists:
        session.execute(select(func.pg_notify(CHANNEL, origin)))
    return Cleared(len(albums), artists, _clear_journals(session, now - keep))


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


def _clear_albums(session: Session, before: datetime) -> list[str]:
    """Credits and listings go with their album."""
    old = (
        select(Album.id)
        .where(Album.last_seen_at < before)
        .order_by(Album.last_seen_at)
        .limit(BATCH)
    )
    gone = delete(Album).where(Album.id.in_(old.scalar_subquery())).returning(Album.spotify_id)
    return sorted(session.scalars(gone, execution_options=IN_BULK))


def _clear_artists(session: Session) -> int:
    alone = select(Artist.id).where(~exists().where(AlbumArtist.artist_id == Artist.id))
    gone = delete(Artist).where(Artist.id.in_(alone.limit(BATCH).scalar_subquery()))
    return len(session.scalars(gone.returning(Artist.id), execution_options=IN_BULK).all())


def _clear_journals(session: Session, before: datetime) -> int:
    """Old entries; the newest run of each outcome stays, for it says how fresh all is."""
    entries = select(Change.seq).where(Change.at < before).order_by(Change.seq).limit(BATCH)
    gone = delete(Change).where(Change.seq.in_(entries.scalar_subquery())).returning(Change.seq)
    changes = len(session.scalars(gone, execution_options=IN_BULK).all())
    kinds = SyncRun.outcome, SyncRun.changed, SyncRun.added > 0
    newest = select(func.max(SyncRun.id)).group_by(*kinds)
    runs = (
        select(SyncRun.id)
        .where(SyncRun.finished_at < before, SyncRun.id.not_in(newest))
        .order_by(SyncRun.finished_at)
        .limit(BATCH)
    )
    old = delete(SyncRun).where(SyncRun.id.in_(runs.scalar_subquery())).returning(SyncRun.id)
    return max(changes, len(session.scalars(old, execution_options=IN_BULK).all()))
