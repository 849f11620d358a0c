"""The intervals in which albums are listed: opened and closed by each sweep."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Row, Select, Text, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Listing
from models.listing import SPAN
from server.catalog.release import VARIOUS_ARTISTS
from server.catalog.zones import end_of_day, start_of_day
from server.spotify.sweep import MarketList, Proof, Sweep
from server.storage.bulk import IN_BULK, insert_rows, is_any_of, recordset
from server.storage.changes import AlbumChange
from server.storage.reading import former
from server.storage.sync_runs import read_since

FOLLOWED = "followed"  # the source of what checks of artists find, which no sync opens or closes
NEW_LISTED = timedelta(days=7)  # half of the time for which tag:new lists an album
OPEN = (
    Listing.id,
    Listing.source,
    Listing.market,
    Listing.since,
    Listing.missed_since,
    Album.spotify_id,
)
OPENED = select(*OPEN).join(Album, Album.id == Listing.album_id).where(Listing.until.is_(None))
UNREAD_FOR = timedelta(days=7)  # after which what a source listed is gone, if none reads it now
MISSED_FOR: dict[Proof, timedelta] = {  # how long weaker proofs of absence have to agree
    "weak": timedelta(hours=24),
    "refused": timedelta(days=7),  # half of the time for which tag:new lists an album
}


@dataclass(frozen=True)
class Known:
    """A release in a list of new ones, with the artist that is credited first."""

    artist: str
    name: str
    album: str


def listed_on(day: date, where: tzinfo) -> Select[int]:
    """Select the ids of the albums that were listed on a day in a zone, some more than once."""
    begin, end = start_of_day(day, where), end_of_day(day, where)
    return select(Listing.album_id).where(
        SPAN.op("&&")(func.tstzrange(begin, end)),  # for the index, which takes both ends together
        Listing.since < end,
        or_(Listing.until.is_(None), Listing.until > begin),
    )


def newest_listed(session: Session, now: datetime, most: int) -> list[Known]:
    """Read releases of the last NEW_LISTED that Spotify lists as new, each of another artist."""
    today = now.date()
    rows = session.execute(
        select(Artist.spotify_id.label("artist"), Artist.name, Album.spotify_id.label("album"))
        .join(AlbumArtist, AlbumArtist.artist_id == Artist.id)
        .join(Album, Album.id == AlbumArtist.album_id)
        .join(Listing, Listing.album_id == Album.id)
        .where(AlbumArtist.position == 0, Listing.until.is_(None), Listing.source != FOLLOWED)
        .where(Album.released_on.between(today - NEW_LISTED, today))
        .where(Artist.spotify_id != VARIOUS_ARTISTS)
        .order_by(Album.released_on.desc(), Album.id.desc())
        .limit(10 * most)
    )
    found = {row.artist: Known(row.artist, row.name, row.album) for row in rows}
    return list(found.values())[:most]


def list_again(
    session: Session, artist: str, released_after: date, at: datetime
) -> list[AlbumChange]:
    """List releases of an artist under FOLLOWED that a check has seen at `at`, but no list has.

    They left it because no owner wanted the artist for a while, or never entered it because of a
    wrong clock or an older date. Those that a sync has listed stay as the sync left them.
    """
    other = or_(Listing.until.is_(None), Listing.source != FOLLOWED)
    theirs = select(AlbumArtist.album_id).join(Artist).where(Artist.spotify_id == artist)
    rows = session.execute(
        select(Album.id, Album.spotify_id)
        .where(Album.id.in_(theirs), Album.last_seen_at == at, Album.released_on > released_after)
        .where(~select(Listing.id).where(Listing.album_id == Album.id, other).exists())
        .order_by(Album.id)
    ).all()
    _see_as_new(session, [row.spotify_id for row in rows], at)
    common = {"source": FOLLOWED, "market": "", "since": at}
    opened = [{"album_id": row.id, "position": place, **common} for place, row in enumerate(rows)]
    insert_rows(session, Listing, opened)
    return [AlbumChange(row.spotify_id, "added") for row in rows]


def record_listings(
    session: Session, sweep: Sweep, started_at: datetime, at: datetime
) -> list[AlbumChange]:
    """Open listings of albums that came into a list, and close those of albums that left one.

    Only a complete sweep closes listings. Returns the changes: an album is added when it enters its
    first list, and gone when it leaves its last.
    """
    opened = session.execute(OPENED).all()
    incoming = [row for each in sweep.lists for row in _incoming(each, sweep, opened)]
    added = dict.fromkeys(str(row["spotify_id"]) for row in incoming)
    _see_as_new(session, added, at)
    _open_listings(session, incoming, sweep, at)
    listed_before = {row.spotify_id for row in opened}
    changes = [AlbumChange(album, "added") for album in added if album not in listed_before]
    closed = _close_listings(session, opened, sweep, started_at, at)
    listed = {row.spotify_id for row in opened if row.id not in closed} | set(added)
    listed |= {album for each in sweep.lists for album in each.present}
    gone = dict.fromkeys(row.spotify_id for row in opened if row.spotify_id not in listed)
    return changes + [AlbumChange(album, "gone") for album in gone]


def _see_as_new(session: Session, albums: Collection[str], at: datetime) -> None:
    """Let albums that enter the first list ever count as first seen now, so that feeds show them.

    A check that has stored one silently has left an earlier time.
    """
    if not albums:
        return
    unlisted = ~select(Listing.id).where(Listing.album_id == Album.id).exists()
    silent = and_(is_any_of(Album.spotify_id, albums), unlisted, Album.created_at < at)
    times = {"created_at": at, "significant_at": at}
    seen = update(Album).where(silent).values(times).add_cte(former.kept_first(silent, at))
    session.execute(seen, execution_options=IN_BULK)


def _incoming(found: MarketList, sweep: Sweep, opened: Any) -> list[dict[str, Any]]:
    place = sweep.source, found.market
    listed = {row.spotify_id for row in opened if (row.source, row.market) == place}
    return [
        {"spotify_id": album, "market": found.market, "position": position}
        for position, album in enumerate(found.ids)
        if album not in listed
    ]


def _close_listings(
    session: Session, opened: Any, sweep: Sweep, started_at: datetime, at: datetime
) -> set[int]:
    """Close the listings of albums that left their list, and of lists that are no longer read.

    Only a complete sweep closes listings, but every sweep shows which albums are present. Where the
    proof of absence is not sure, an album is marked as missed first. The lists of another source
    stay until it has not been read for UNREAD_FOR: the freshest source can be another one for a
    day. Returns the ids of the closed listings.
    """
    closed, missed, found = set(), [], []
    others = {row.source for row in opened} - {sweep.source, FOLLOWED}
    kept = read_since(session, others, at - UNREAD_FOR) if others else ()
    lists = {(sweep.source, each.market): each for each in sweep.lists}
    present = {place: {*each.ids, *each.present} for place, each in lists.items()}
    for row in opened:
        place = (row.source, row.market)
        if row.source == FOLLOWED:
            continue
        if place not in lists:
            is_over = row.source not in kept and sweep.complete and not sweep.substitute
            closed |= {row.id} if is_over else set()
        elif row.spotify_id in present[place]:
            found += [row.id] if row.missed_since else []
        elif not sweep.complete or row.since > started_at:
            continue  # an album that another process has just listed is not missing
        elif _is_gone(row, lists[place].proof, at):
            closed.add(row.id)
        elif lists[place].proof != "none" and row.missed_since is None:
            missed.append(row.id)
    _set(session, closed, until=at)
    _set(session, missed, missed_since=at)
    _set(session, found, missed_since=None)
    return closed


def _is_gone(row: Row[Any], proof: Proof, at: datetime) -> bool:
    """Whether an album that was not found has left its list.

    It has after one sure proof; after a good one that follows any other; after weak ones that agree
    for a day; and after a week of refusals of the market, since a shorter one proves nothing.
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
