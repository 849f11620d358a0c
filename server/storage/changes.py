"""The journal of changes, read in the order in which it was written.

Whatever changes what lists show of a release, except when it was last seen, writes an entry in the
same transaction, so that clients can keep a copy. Writers hold one lock until they commit, so
entries become visible in the order of their numbers: a client that has read one has missed none
before it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import Any

import orjson
import structlog
from sqlalchemy import (
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Change, JournalFloor
from server.catalog.journal import JournalEntry, JournalPage, JournalReach, mark_of
from server.catalog.release import MAX_CREDITS, summary
from server.storage.bulk import IN_BULK, insert_rows, is_any_of

# A value that Python cannot represent must not make other rows unreadable: JSON is read as text,
# and times outside Python's calendar as the nearest ones within it.
MARKED = (
    Change.seq,
    Change.kind,
    func.least(
        func.greatest(Change.at, datetime(1, 1, 2, tzinfo=UTC)),
        datetime(9999, 12, 31, tzinfo=UTC),
    ).label("at"),
    Change.album,
)
COLUMNS = (
    *MARKED,
    cast(Change.detail, Text).label("detail"),
    cast(Change.release, Text).label("release"),
)
LATER = (
    select(*COLUMNS)
    .where(Change.seq >= bindparam("after"))
    .order_by(Change.seq)
    .limit(bindparam("most"))
)
# A search for the oldest entry begins here, because what was deleted before it stays in the index
# until a vacuum.
FLOOR = func.coalesce(select(JournalFloor.seq).where(JournalFloor.id == 1).scalar_subquery(), 0)
NEWEST = select(*COLUMNS).order_by(Change.seq.desc()).limit(bindparam("most"))
DESCRIBED = (
    Album.spotify_id,
    Album.name,
    Album.album_type,
    Album.total_tracks,
    Album.release_date,
    Album.external_urls,
    Album.images,
)

log = structlog.get_logger()


@dataclass(frozen=True)
class AlbumChange:
    """One entry of the journal: an album, by Spotify's id, is added, found, updated, gone, deleted.

    `found` means that it was stored though it is not new, `gone` that it left the last list it was
    in, `deleted` that retention removed its row. `detail` of an update is
    `{field: {"old", "new"}}`.
    """

    album: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


def read_summaries(session: Session, albums: Collection[str]) -> dict[str, dict[str, Any]]:
    """Read the summaries of stored albums, by Spotify's id, in one statement.

    An album whose row cannot be read is left out, and logged (`item_left_out`).
    """
    if not albums:
        return {}
    first = and_(AlbumArtist.album_id == Album.id, AlbumArtist.position < MAX_CREDITS)
    rows = session.execute(
        select(*DESCRIBED, Artist.spotify_id.label("artist"), Artist.name.label("artist_name"))
        .outerjoin(AlbumArtist, first)
        .outerjoin(Artist, Artist.id == AlbumArtist.artist_id)
        .where(is_any_of(Album.spotify_id, albums))
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
    """Append changes in order, each with the summary of its album in `releases`, if any."""
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
    """Delete up to `most` of the oldest entries from before `before`; return how many.

    The first younger entry ends the deletion, so that the remaining journal has no gaps even if the
    clock was put back. The highest number deleted is stored in `JournalFloor`.
    """
    kept = select(Change.seq, Change.at).where(Change.seq > FLOOR)
    oldest = kept.order_by(Change.seq).limit(most).cte("oldest")
    younger = select(func.min(oldest.c.seq)).where(oldest.c.at >= before).scalar_subquery()
    old = select(oldest.c.seq).where(or_(younger.is_(None), oldest.c.seq < younger))
    statement = delete(Change).where(Change.seq.in_(old)).returning(*MARKED)
    deleted = session.execute(statement, execution_options=IN_BULK).all()
    if deleted:
        last = max(deleted, key=lambda row: row.seq)
        floor = insert(JournalFloor).values(id=1, seq=last.seq, mark=mark_of(*last))
        raised = {"seq": floor.excluded.seq, "mark": floor.excluded.mark}
        session.execute(
            floor.on_conflict_do_update(
                index_elements=["id"], set_=raised, where=JournalFloor.seq < floor.excluded.seq
            )
        )
    return len(deleted)


def read(session: Session, after: int, limit: int) -> JournalPage:
    """Return up to `limit` entries with numbers above `after`, in order.

    The reach of the journal is read last, so that it covers every entry deleted meanwhile, and no
    client misses one unnoticed.
    """
    rows = session.execute(LATER, {"after": after, "most": limit + 1}).all()
    entries = [_entry(row) for row in rows]
    mark = None
    if entries and entries[0].seq == after:
        mark = entries.pop(0).place.mark
    return JournalPage(entries[:limit], reach(session), mark)


def read_latest(session: Session, limit: int) -> JournalPage:
    """Return the newest `limit` entries, in order."""
    rows = session.execute(NEWEST, {"most": limit}).all()
    return JournalPage([_entry(row) for row in reversed(rows)], reach(session))


def reach(session: Session) -> JournalReach:
    """Return how far the journal reaches, in one statement that reads only indexes and one row."""
    floor, mark, oldest, *newest = session.execute(_ends()).one()
    last = newest[0] or 0
    if last <= floor:
        return JournalReach(oldest, floor, floor, mark, mark)
    return JournalReach(oldest, last, floor, mark_of(*newest), mark)


@cache
def _ends() -> Select[Any]:
    floor = select(JournalFloor.seq, JournalFloor.mark).where(JournalFloor.id == 1).subquery()
    oldest = select(func.min(Change.seq)).where(Change.seq > FLOOR).scalar_subquery()
    newest = select(*MARKED).order_by(Change.seq.desc()).limit(1).subquery()
    one = select(literal(1).label("one")).subquery()
    ends = one.outerjoin(floor, true()).outerjoin(newest, true())
    return select(
        func.coalesce(floor.c.seq, 0), func.coalesce(floor.c.mark, ""), oldest, *newest.c
    ).select_from(ends)


def _entry(row: Row[Any]) -> JournalEntry:
    """Make an entry of a row, without details if these cannot be read, which is logged.

    The entry keeps its number, so that no client believes it missed or waits for it.
    """
    known = {"seq": row.seq, "kind": row.kind, "at": row.at, "album": row.album}
    try:
        release = None if row.release is None else orjson.loads(row.release)
        return JournalEntry.of({**known, "release": release, "detail": orjson.loads(row.detail)})
    except Exception:
        log.exception("item_left_out", place="changes", seq=row.seq)
        return JournalEntry.of({**known, "release": None, "detail": {}})
