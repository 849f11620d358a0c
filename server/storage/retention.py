"""Deletion of what may no longer be kept: albums unseen for long, lone artists, old journals.

Spotify's terms do not let its content be kept indefinitely (developer.spotify.com/terms, IV.3).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, delete, exists, func, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, ArtistCheck, ArtistSchedule, FormerAlbum, SyncRun
from server.storage import changes, following, sync_runs
from server.storage.bulk import IN_BULK, is_any_of
from server.storage.changes import AlbumChange
from server.storage.reading import former
from server.storage.sweeps import CHANNEL, WRITERS_LOCK

BATCH = 500  # rows of a table that one transaction deletes
UNCHECKED_FOR = timedelta(days=365)


@dataclass(frozen=True)
class Deleted:
    """How many rows were deleted: at most BATCH of each table in one batch, and lone artists."""

    albums: int = 0
    artists: int = 0
    entries: int = 0  # of the journals `changes`, `sync_runs`, `artist_checks`, and former states

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(
            self.albums + other.albums,
            self.artists + other.artists,
            self.entries + other.entries,
        )

    @property
    def more(self) -> bool:
        """Whether another batch may find more to delete."""
        return BATCH in (self.albums, self.entries)


def delete_batch(
    session: Session,
    now: datetime,
    keep: timedelta,
    origin: str = "",
    allowed: Collection[str] = (),
) -> Deleted:
    """Delete one batch from each table, in the caller's transaction; syncs wait for it.

    `keep` is how long an album stays after it was last seen, and an entry of a journal after it was
    written. If albums or artists were deleted, every process is notified, with `origin`. `allowed`
    are the accounts that may log in, empty for all.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    if not sync_runs.is_steady(session, now, SyncRun.outcome == "complete"):
        return Deleted()
    wanted = list(following.wanted(session, allowed))
    albums, credited = _delete_albums(session, wanted, now - keep, now)
    states, replaced = former.prune(session, now, BATCH)
    artists = _delete_lone_artists(session, credited | replaced)
    if albums or artists:
        session.execute(select(func.pg_notify(CHANNEL, origin)))
    before = now - keep
    entries = changes.prune(session, before, BATCH), _delete_runs(session, before)
    checks = _delete_checks(session, before), _delete_schedules(session, wanted, before)
    return Deleted(albums, artists, max(*entries, *checks, states))


def _delete_albums(
    session: Session, wanted: Collection[str], before: datetime, now: datetime
) -> tuple[int, set[int]]:
    """Delete old albums with their credits and listings, and write that to the journal.

    One of a wanted artist stays until the next check of it, however rare these are, for
    UNCHECKED_FOR at most: it would be found again, as new. Returns how many were deleted, and our
    ids of the artists that they were credited to, now or lately.
    """
    unchecked = exists().where(
        AlbumArtist.album_id == Album.id,
        Artist.id == AlbumArtist.artist_id,
        ArtistSchedule.artist == Artist.spotify_id,
        ArtistSchedule.checked_at <= Album.last_seen_at,
        is_any_of(ArtistSchedule.artist, wanted),
    )
    stays = unchecked & (Album.last_seen_at >= now - UNCHECKED_FOR)
    old = select(Album.spotify_id).where(
        Album.last_seen_on <= before.astimezone(UTC).date(), Album.last_seen_at < before, ~stays
    )
    albums = sorted(session.scalars(old.order_by(Album.last_seen_on).limit(BATCH)))
    if not albums:
        return 0, set()
    described = changes.read_summaries(session, albums)
    these = is_any_of(Album.spotify_id, albums)
    credited = select(AlbumArtist.artist_id).join(Album).where(these)
    before_a_change = select(func.unnest(FormerAlbum.artists)).join(Album).where(these)
    artists = set(session.scalars(credited.union(before_a_change)))
    session.execute(delete(Album).where(these), execution_options=IN_BULK)
    deleted = [AlbumChange(album, "deleted") for album in albums]
    changes.record(session, deleted, described, now)
    return len(albums), artists


def _delete_lone_artists(session: Session, artists: Collection[int]) -> int:
    """Delete those of `artists`, by our ids, that are credited on no album; return how many.

    A search of all artists would grow with the table.
    """
    if not artists:
        return 0
    credited = exists().where(AlbumArtist.artist_id == Artist.id)
    these = Artist.id == any_(bindparam(None, list(artists), ARRAY(BigInteger)))
    lone = delete(Artist).where(these, ~credited).returning(Artist.id)
    return len(session.scalars(lone, execution_options=IN_BULK).all())


def _delete_runs(session: Session, before: datetime) -> int:
    """Delete old runs; the newest of each kind stays, because freshness is read from it."""
    outcomes = (SyncRun.outcome == each for each in ("complete", "partial", "failed"))
    kinds = (*outcomes, SyncRun.changed, SyncRun.added > 0)
    newest = (select(func.max(SyncRun.id)).where(kind).scalar_subquery() for kind in kinds)
    runs = (
        select(SyncRun.id)
        .where(SyncRun.finished_at < before)
        .where(*(SyncRun.id.is_distinct_from(each) for each in newest))
        .order_by(SyncRun.finished_at)
        .limit(BATCH)
    )
    old = delete(SyncRun).where(SyncRun.id.in_(runs.scalar_subquery())).returning(SyncRun.id)
    return len(session.scalars(old, execution_options=IN_BULK).all())


def _delete_checks(session: Session, before: datetime) -> int:
    """Delete old checks; the newest that changed anything stays, as freshness is read from it."""
    newest = select(func.max(ArtistCheck.id)).where(ArtistCheck.changed).scalar_subquery()
    checks = (
        select(ArtistCheck.id)
        .where(ArtistCheck.at < before, ArtistCheck.id.is_distinct_from(newest))
        .order_by(ArtistCheck.at)
        .limit(BATCH)
    )
    old = delete(ArtistCheck).where(ArtistCheck.id.in_(checks.scalar_subquery()))
    return len(session.scalars(old.returning(ArtistCheck.id), execution_options=IN_BULK).all())


def _delete_schedules(session: Session, wanted: Collection[str], before: datetime) -> int:
    """Delete the schedules of artists that no owner wants, and no check has used for long."""
    last = func.greatest(ArtistSchedule.added_at, ArtistSchedule.checked_at)
    unused = select(ArtistSchedule.artist).where(
        last < before,
        ArtistSchedule.next_check_at < before,
        ~is_any_of(ArtistSchedule.artist, wanted),
    )
    old = delete(ArtistSchedule).where(
        ArtistSchedule.artist.in_(unused.limit(BATCH).scalar_subquery())
    )
    rows = session.scalars(old.returning(ArtistSchedule.artist), execution_options=IN_BULK)
    return len(rows.all())
