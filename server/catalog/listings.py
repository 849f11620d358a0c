"""When albums stood in a list, and the journal of what came, changed and went."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, insert, select, update
from sqlalchemy.orm import Session

from models import Album, Change, Listing
from server.catalog.rows import IN_BULK, insert_rows, recordset
from server.catalog.sweep import Sweep


@dataclass(frozen=True)
class AlbumChange:
    """One entry of the journal: an album (by Spotify's id) was added, updated or is gone."""

    album: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


def record_listings(session: Session, sweep: Sweep, at: datetime) -> list[AlbumChange]:
    """Open listings for what came in; a complete sweep closes those of what it did not see."""
    opened = session.execute(
        select(Listing.id, Listing.source, Album.spotify_id)
        .join(Album, Album.id == Listing.album_id)
        .where(Listing.until.is_(None), Listing.market == sweep.market)
    ).all()
    seen = {release.spotify_id for release in sweep.releases} | sweep.present
    here = {row.spotify_id for row in opened if row.source == sweep.source}
    incoming = [
        {"spotify_id": release.spotify_id, "position": position}
        for position, release in enumerate(sweep.releases)
        if release.spotify_id not in here
    ]
    _open_listings(session, incoming, sweep, at)
    listed = {row.spotify_id for row in opened}
    changes = [
        AlbumChange(str(row["spotify_id"]), "added")
        for row in incoming
        if row["spotify_id"] not in listed
    ]
    if not sweep.complete or sweep.unreadable:
        return changes
    over = [row for row in opened if row.source != sweep.source or row.spotify_id not in seen]
    if over:
        session.execute(
            update(Listing).where(Listing.id.in_([row.id for row in over])).values(until=at),
            execution_options=IN_BULK,
        )
    gone = dict.fromkeys(row.spotify_id for row in over if row.spotify_id not in seen)
    return changes + [AlbumChange(album, "gone") for album in gone]


def _open_listings(
    session: Session, incoming: list[dict[str, Any]], sweep: Sweep, at: datetime
) -> None:
    if not incoming:
        return
    given = recordset(incoming, (Album.spotify_id, Listing.position))
    values = (
        Album.id,
        bindparam("source", sweep.source, Text),
        bindparam("market", sweep.market, Text),
        given.c.position,
        bindparam("since", at, Listing.since.type),
    )
    session.execute(
        insert(Listing).from_select(
            ["album_id", "source", "market", "position", "since"],
            select(*values).join(given, given.c.spotify_id == Album.spotify_id),
        )
    )


def record_changes(session: Session, changes: list[AlbumChange], at: datetime) -> None:
    """Append to the journal, in order."""
    rows = [
        {"album": change.album, "kind": change.kind, "detail": change.detail, "at": at}
        for change in changes
    ]
    insert_rows(session, Change, rows)
