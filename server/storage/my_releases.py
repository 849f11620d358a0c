"""What one owner sees: the artists that it follows, watches or ignores, and their releases.

Each function runs in its caller's transaction. An owner is an account, or the server itself (None),
which sees the artists of everybody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, ArtistSchedule
from server.catalog.snapshot import HELD, Depth, Snapshot
from server.storage import following, freshness, snapshots
from server.storage.bulk import is_any_of
from server.storage.following import MyArtists


@dataclass(frozen=True)
class Mine:
    """The artists of an owner, and a snapshot of the releases of those that it wants."""

    artists: MyArtists
    snapshot: Snapshot


@dataclass(frozen=True)
class ArtistCheckState:
    """When an artist was last checked and is checked next, None if that is not planned.

    `newest_release` is the newest release date that is known, of 4, 7 or 10 characters; `error` is
    why the last check failed, None if it did not.
    """

    checked_at: datetime | None = None
    next_check_at: datetime | None = None
    newest_release: str | None = None
    error: str | None = None


def load(
    session: Session,
    account_id: str | None,
    today: date,
    allowed: Collection[str] = (),
    depth: Depth = HELD,
) -> Mine:
    """Read an owner's artists and their releases; `today` is the day in UTC.

    `allowed` are the accounts that count, empty for all.
    """
    freshness.as_of_one_moment(session)
    artists = following.read_mine(session, account_id, allowed)
    wanted = list(artists.wanted)
    return Mine(artists, snapshots.load_of_artists(session, wanted, today, depth))


def check_states(session: Session, artists: Sequence[str]) -> dict[str, ArtistCheckState]:
    """Read the checks of artists, given by Spotify's ids; those without any fact are missing."""
    newest = (
        select(Artist.spotify_id.label("artist"), func.max(Album.release_date).label("newest"))
        .join(AlbumArtist, AlbumArtist.artist_id == Artist.id)
        .join(Album, Album.id == AlbumArtist.album_id)
        .where(is_any_of(Artist.spotify_id, artists))
        .group_by(Artist.spotify_id)
        .subquery()
    )
    planned = (
        select(ArtistSchedule).where(is_any_of(ArtistSchedule.artist, artists)).subquery("planned")
    )
    rows = session.execute(
        select(
            func.coalesce(planned.c.artist, newest.c.artist).label("artist"),
            planned.c.checked_at,
            planned.c.next_check_at,
            func.greatest(planned.c.newest_release, newest.c.newest).label("newest_release"),
            planned.c.error,
        ).join_from(planned, newest, planned.c.artist == newest.c.artist, full=True)
    )
    return {
        row.artist: ArtistCheckState(
            row.checked_at, row.next_check_at, row.newest_release, row.error
        )
        for row in rows
    }
