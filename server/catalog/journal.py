"""The journal of changes, read in the order in which it was written.

Syncs and retention write under one lock, which they hold until they commit, so numbers become
visible in their order: whoever has read up to one has missed none before it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson
import structlog
from sqlalchemy import Row, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Change, JournalFloor
from server.catalog.entry import Entry
from server.catalog.release import CREDITED, summary
from server.catalog.rows import IN_BULK, among, insert_rows
from server.catalog.snapshot import TIMES

COLUMNS = (Change.seq, Change.kind, Change.at, Change.album, Change.detail, Change.release)
log = structlog.get_logger()

DESCRIBED = (
    Album.spotify_id,
    Album.name,
    Album.album_type,
    Album.total_tracks,
    Album.release_date,
    Album.external_urls,
    Album.images,
)


@dataclass(frozen=True)
class AlbumChange:
    """One entry of the journal: an album (by Spotify's id) was added, updated, is gone or deleted.

    Deleted is what has not been seen for so long that it is no longer kept.
    """

    album: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


def describe(session: Session, albums: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the summaries of albums that are kept, by Spotify's id, in one statement.

    One whose row cannot be read is left out, and logged.
    """
    if not albums:
        return {}
    first = and_(AlbumArtist.album_id == Album.id, AlbumArtist.position < CREDITED)
    rows = session.execute(
        select(*DESCRIBED, Artist.spotify_id.label("artist"), Artist.name.label("artist_name"))
        .outerjoin(AlbumArtist, first)
        .outerjoin(Artist, Artist.id == AlbumArtist.artist_id)
        .where(among(Album.spotify_id, albums))
        .order_by(Album.spotify_id, AlbumArtist.position)
    )
    found = {}
    for spotify_id, group in groupby(rows, lambda row: row.spotify_id):
        credited = list(group)
        artists = [(row.artist, row.artist_name) for row in credited if row.artist is not None]
        try:
            found[spotify_id] = summary(dict(credited[0]._mapping), artists)
        except Exception:
            log.exception("item_left_out", place="changes", spotify_ids=[spotify_id])
    return found


def record(
    session: Session,
    changes: list[AlbumChange],
    releases: dict[str, dict[str, Any]],
    at: datetime,
) -> None:
    """Append changes in order, each with what `releases` has of its album."""
    rows = [
        {
            "album": change.album,
            "kind": change.kind,
            "detail": change.detail,
            "at": at,
            "release": releases.get(change.album),
        }
        for change in changes
    ]
    insert_rows(session, Change, rows)


def prune(session: Session, before: datetime, most: int) -> int:
    """Delete up to `most` of the oldest entries that are older than `before`; how many that was.

    It stops at the first entry that is younger, so that what is kept has no holes whatever the
    clock did, and notes how far it came (see `JournalFloor`).
    """
    younger = select(func.min(Change.seq)).where(Change.at >= before).scalar_subquery()
    old = select(Change.seq).where(or_(younger.is_(None), Change.seq < younger))
    oldest = old.order_by(Change.seq).limit(most).scalar_subquery()
    gone = delete(Change).where(Change.seq.in_(oldest)).returning(Change.seq)
    deleted = session.scalars(gone, execution_options=IN_BULK).all()
    if deleted:
        floor = insert(JournalFloor).values(id=1, seq=max(deleted))
        raised = func.greatest(JournalFloor.seq, floor.excluded.seq)
        session.execute(floor.on_conflict_do_update(index_elements=["id"], set_={"seq": raised}))
    return len(deleted)


def read(session: Session, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` changes after the one numbered `after`, each as `schemas.ChangeShape`."""
    rows = select(*COLUMNS).where(Change.seq > after).order_by(Change.seq).limit(limit)
    return [_readable(row) for row in session.execute(rows)]


def entries(session: Session, after: int, limit: int) -> list[Entry]:
    """The same, ready to be told."""
    return [Entry.of(change) for change in read(session, after, limit)]


def latest_entries(session: Session, limit: int) -> list[Entry]:
    """The last changes of all, in order, ready to be told."""
    rows = session.execute(select(*COLUMNS).order_by(Change.seq.desc()).limit(limit)).all()
    return [Entry.of(_readable(row)) for row in reversed(rows)]


def _readable(row: Row[Any]) -> dict[str, Any]:
    """A change that JSON can hold: without its details where it cannot, which is logged.

    It keeps its number, so no reader takes it for missed or waits for it.
    """
    change = row._asdict()
    try:
        orjson.dumps(change, option=TIMES)
    except Exception:
        log.exception("item_left_out", place="changes", seq=change["seq"])
        change |= {"detail": {}, "release": None}
    return change
