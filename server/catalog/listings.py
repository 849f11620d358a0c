"""When albums stood in a list, and the journal of what came, changed and went."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Text, bindparam, insert, select, update
from sqlalchemy.orm import Session

from models import Album, Change, Listing
from server.catalog.rows import IN_BULK, insert_rows, recordset
from server.catalog.sweep import MarketList, Sweep

MISSED_FOR = timedelta(hours=24)  # so long weak proofs of absence have to agree


@dataclass(frozen=True)
class AlbumChange:
    """One entry of the journal: an album (by Spotify's id) was added, updated, is gone or deleted.

    Deleted is what has not been seen for so long that it is no longer kept.
    """

    album: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


def record_listings(session: Session, sweep: Sweep, at: datetime) -> list[AlbumChange]:
    """Open listings for what came in, close those of what left; only a complete sweep closes any.

    An album is added when it came into its first list, and gone when it left its last.
    """
    opened = session.execute(
        select(Listing.id, Listing.source, Listing.market, Listing.missed_since, Album.spotify_id)
        .join(Album, Album.id == Listing.album_id)
        .where(Listing.until.is_(None))
    ).all()
    incoming = [row for each in sweep.lists for row in _incoming(each, sweep, opened)]
    _open_listings(session, incoming, sweep, at)
    listed = {row.spotify_id for row in opened}
    added = dict.fromkeys(str(row["spotify_id"]) for row in incoming)
    changes = [AlbumChange(album, "added") for album in added if album not in listed]
    closed = _close_listings(session, opened, sweep, at) if sweep.complete else set()
    left = {row.spotify_id for row in opened if row.id not in closed} | set(added)
    left |= {album for each in sweep.lists for album in each.present}
    gone = dict.fromkeys(row.spotify_id for row in opened if row.spotify_id not in left)
    return changes + [AlbumChange(album, "gone") for album in gone]


def _incoming(each: MarketList, sweep: Sweep, opened: Any) -> list[dict[str, Any]]:
    here = {
        row.spotify_id for row in opened if (row.source, row.market) == (sweep.source, each.market)
    }
    return [
        {"spotify_id": album, "market": each.market, "position": position}
        for position, album in enumerate(each.ids)
        if album not in here
    ]


def _close_listings(session: Session, opened: Any, sweep: Sweep, at: datetime) -> set[int]:
    """Close what has left its list, or whose list is no longer read; the ids of those listings.

    Where the proof of absence is weak, an album is only taken for missed, and for gone when it has
    been missed for a day.
    """
    over, missed, met = set(), [], []
    lists = {(sweep.source, each.market): each for each in sweep.lists}
    here = {place: {*each.ids, *each.present} for place, each in lists.items()}
    for row in opened:
        place = (row.source, row.market)
        if place not in lists:
            over |= set() if sweep.substitute else {row.id}
        elif row.spotify_id in here[place]:
            met += [row.id] if row.missed_since else []
        elif lists[place].proof == "sure" or _long_missed(row, lists[place], at):
            over.add(row.id)
        elif lists[place].proof == "weak" and row.missed_since is None:
            missed.append(row.id)
    _set(session, over, until=at)
    _set(session, missed, missed_since=at)
    _set(session, met, missed_since=None)
    return over


def _long_missed(row: Row[Any], each: MarketList, at: datetime) -> bool:
    since = row.missed_since
    return each.proof == "weak" and since is not None and at - since >= MISSED_FOR


def _set(session: Session, ids: Any, **values: datetime | None) -> None:
    if ids:
        session.execute(
            update(Listing).where(Listing.id.in_(ids)).values(**values), execution_options=IN_BULK
        )


def _open_listings(
    session: Session, incoming: list[dict[str, Any]], sweep: Sweep, at: datetime
) -> None:
    if not incoming:
        return
    given = recordset(incoming, (Album.spotify_id, Listing.market, Listing.position))
    values = (
        Album.id,
        bindparam("source", sweep.source, Text),
        given.c.market,
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
