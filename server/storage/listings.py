"""When albums stood in a list, and which of them came into it or left it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Text, bindparam, insert, select, update
from sqlalchemy.orm import Session

from models import Album, Listing
from server.spotify.sweep import MarketList, Proof, Sweep
from server.storage.bulk import IN_BULK, recordset
from server.storage.changes import AlbumChange

OPEN = (
    Listing.id,
    Listing.source,
    Listing.market,
    Listing.since,
    Listing.missed_since,
    Album.spotify_id,
)
MISSED_FOR: dict[Proof, timedelta] = {  # so long proofs of absence have to agree
    "weak": timedelta(hours=24),
    "refused": timedelta(days=7),  # half of the time that tag:new lists an album for
}


def record_listings(
    session: Session, sweep: Sweep, started_at: datetime, at: datetime
) -> list[AlbumChange]:
    """Open listings for what came in, close those of what left; only a complete sweep closes any.

    An album is added when it came into its first list, and gone when it left its last.
    """
    opened = session.execute(
        select(*OPEN).join(Album, Album.id == Listing.album_id).where(Listing.until.is_(None))
    ).all()
    incoming = [row for each in sweep.lists for row in _incoming(each, sweep, opened)]
    _open_listings(session, incoming, sweep, at)
    listed = {row.spotify_id for row in opened}
    added = dict.fromkeys(str(row["spotify_id"]) for row in incoming)
    changes = [AlbumChange(album, "added") for album in added if album not in listed]
    closed = _close_listings(session, opened, sweep, started_at, at)
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


def _close_listings(
    session: Session, opened: Any, sweep: Sweep, started_at: datetime, at: datetime
) -> set[int]:
    """Close what has left its list, or whose list is no longer read; the ids of those listings.

    Only a complete sweep closes any, but every one tells what is not missing.

    Where the proof of absence is not sure, an album is only taken for missed at first.
    """
    over, missed, met = set(), [], []
    lists = {(sweep.source, each.market): each for each in sweep.lists}
    here = {place: {*each.ids, *each.present} for place, each in lists.items()}
    for row in opened:
        place = (row.source, row.market)
        if place not in lists:
            over |= {row.id} if sweep.complete and not sweep.substitute else set()
        elif row.spotify_id in here[place]:
            met += [row.id] if row.missed_since else []
        elif not sweep.complete or row.since > started_at:
            continue  # what another process has met meanwhile is not missing
        elif _is_gone(row, lists[place].proof, at):
            over.add(row.id)
        elif lists[place].proof != "none" and row.missed_since is None:
            missed.append(row.id)
    _set(session, over, until=at)
    _set(session, missed, missed_since=at)
    _set(session, met, missed_since=None)
    return over


def _is_gone(row: Row[Any], proof: Proof, at: datetime) -> bool:
    """Whether an album that was not met has left its list.

    By a sure proof; by a good one after any other; by weak ones that agree for a day; by a market
    that is refused for a week, for a shorter refusal says nothing about any album.
    """
    if proof == "sure" or row.missed_since is None:
        return proof == "sure"
    lasting = MISSED_FOR.get(proof)
    return proof == "good" or (lasting is not None and at - row.missed_since >= lasting)


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
