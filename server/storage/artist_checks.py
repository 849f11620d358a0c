"""Checks of the releases of wanted artists: when each is due, and what a check has found.

A release that was not stored is new if its day is at most NEW_FOR ago, or ahead. New releases are
listed under the source `followed` and are `added` in the journal; older ones are `found` there, and
count as first seen on their day, so that no feed shows them as new. Each function runs in its
caller's transaction; an artist is an id of Spotify's throughout.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, cast

from sqlalchemy import Table, exists, false, func, or_, select, update
from sqlalchemy import insert as insert_row
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, ArtistCheck, ArtistSchedule, Listing
from server.spotify.object_parser import ParsedRelease
from server.storage import changes as journal
from server.storage.bulk import IN_BULK, insert_rows, is_any_of, recordset
from server.storage.changes import AlbumChange
from server.storage.listings import FOLLOWED, list_again
from server.storage.releases import write_releases
from server.storage.sweeps import WRITERS_LOCK
from server.storage.sync_runs import is_steady

NEW_FOR = timedelta(days=30)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # when a release without a usable date was first seen
START_OF = {4: "-01-01", 7: "-01"}  # of a year, of a month

Way = Literal["albums", "search"]


@dataclass(frozen=True)
class Scheduled:
    """When an artist is checked next, and what earlier checks have left: a row of the table.

    `searched_at` is the last check by the search. The other fields are those of `ArtistSchedule`.
    """

    artist: str
    added_at: datetime
    next_check_at: datetime
    checked_at: datetime | None = None
    interval_days: int = 1
    newest_release: str | None = None
    etags: Mapping[str, str] = field(default_factory=dict)
    failures: int = 0
    error: str | None = None
    searched_at: datetime | None = None


FIELDS = tuple(each.name for each in fields(Scheduled))


@dataclass(frozen=True)
class Check:
    """One check of an artist: the releases found, each once, and the calls that it took.

    `not_modified` of the calls were answered by 304. `etags` are those of the answers, by request.
    A check with an `error` has read one of the artist's lists at most.
    """

    artist: str
    way: Way
    releases: list[ParsedRelease] = field(default_factory=list)
    calls: int = 0
    not_modified: int = 0
    etags: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class CheckTally:
    """What storing a check has changed: `added` are new releases, `stored` older unknown ones."""

    added: int = 0
    stored: int = 0
    updated: int = 0
    changed: bool = False


Plan = Callable[[Scheduled, CheckTally, datetime], Scheduled]


def read_schedules(session: Session, artists: Collection[str]) -> dict[str, Scheduled]:
    """Read when each of `artists` is checked; those that were never planned are left out."""
    columns = [getattr(ArtistSchedule, name) for name in FIELDS]
    rows = session.execute(select(*columns).where(is_any_of(ArtistSchedule.artist, artists)))
    return {row.artist: Scheduled(*row) for row in rows}


def plan_checks(session: Session, artists: Collection[str], now: datetime) -> dict[str, Scheduled]:
    """Read when each of `artists` is checked; one that was never planned is due now.

    Plans are made under the writers' lock, so that none replaces that of a check meanwhile.
    """
    known = read_schedules(session, artists)
    missing = set(artists) - known.keys()
    if not missing:
        return known
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    known |= read_schedules(session, missing)
    fresh = {each: Scheduled(each, now, now) for each in missing - known.keys()}
    _store(session, list(fresh.values()))
    return known | fresh


def count_stored(session: Session, albums: Collection[str]) -> int:
    """Return how many albums with one of these ids of Spotify's are stored."""
    return session.scalar(select(func.count()).where(is_any_of(Album.spotify_id, albums))) or 0


def record_check(
    session: Session, check: Check, before: Scheduled, clock: Callable[[], datetime], plan: Plan
) -> tuple[CheckTally, Scheduled]:
    """Store what a check has found, the check itself, and when the artist is checked next.

    `before` is the artist's schedule unless one is stored, and `plan` returns the one after the
    check, which is returned with what has changed. The clock is read once the writers' lock is
    held, so that times do not go back.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    at = clock()
    before = read_schedules(session, [check.artist]).get(check.artist, before)
    tally = _record_releases(session, check.releases, at, first=before.checked_at is None)
    if check.not_modified and before.checked_at is not None and not check.error:
        _see_again(session, check.artist, before.checked_at, at)
    if not check.error:
        tally = _list_again(session, check.artist, tally, at)
    newest = _newest(check, before)
    kept = before.etags if check.error or check.way == "search" else {}
    after = replace(before, newest_release=newest, etags={**kept, **check.etags})
    failed = before.error if check.way == "search" else check.error
    after = replace(plan(after, tally, at), error=failed)
    _store(session, [after])
    session.execute(
        insert_row(ArtistCheck).values(
            artist=check.artist,
            at=at,
            way=check.way,
            calls=check.calls,
            not_modified=check.not_modified,
            seen=len(check.releases),
            added=tally.added,
            changed=tally.changed,
            error=check.error,
        )
    )
    return tally, after


def close_listings(session: Session, wanted: Collection[str], now: datetime) -> int:
    """Close the listings of `followed` that have ended; return how many.

    One ends NEW_FOR after it began and after the release's day, unless the clock may be wrong; or
    as soon as no owner wants any of the release's artists. A release that leaves its last list is
    gone.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    credited = exists().where(
        AlbumArtist.album_id == Album.id,
        AlbumArtist.artist_id == Artist.id,
        is_any_of(Artist.spotify_id, wanted),
    )
    past = now - NEW_FOR
    out = or_(Album.released_on.is_(None), Album.released_on <= past.date())
    is_over = (Listing.since <= past) & out if is_steady(session, now) else false()
    ended = (
        select(Listing.id, Album.id.label("album_id"), Album.spotify_id)
        .join(Album, Album.id == Listing.album_id)
        .where(Listing.until.is_(None), Listing.source == FOLLOWED)
        .where(or_(is_over, ~credited))
    )
    rows = session.execute(ended).all()
    if not rows:
        return 0
    session.execute(
        update(Listing).where(Listing.id.in_([row.id for row in rows])).values(until=now),
        execution_options=IN_BULK,
    )
    albums = [row.album_id for row in rows]
    still = select(Listing.album_id).where(Listing.until.is_(None), Listing.album_id.in_(albums))
    listed = set(session.scalars(still))
    gone = [row.spotify_id for row in rows if row.album_id not in listed]
    summaries = journal.read_summaries(session, gone)
    journal.record(session, [AlbumChange(album, "gone") for album in gone], summaries, now)
    return len(rows)


def _record_releases(
    session: Session, releases: list[ParsedRelease], at: datetime, *, first: bool
) -> CheckTally:
    """Write the releases of a check; list and journal those that are new."""
    if not releases:
        return CheckTally()

    def first_seen(release: ParsedRelease) -> datetime:
        return at if is_new(release, at, first=first) else min(_start_of(release), at)

    written = write_releases(session, releases, at, first_seen)
    unknown = [each for each in releases if each.spotify_id not in written.known]
    new = [each for each in unknown if is_new(each, at, first=first)]
    _list(session, new, at)
    kinds = dict.fromkeys((each.spotify_id for each in unknown), "found")
    kinds |= dict.fromkeys((each.spotify_id for each in new), "added")
    changes = [AlbumChange(*each) for each in kinds.items()] + written.updates
    missing = {change.album for change in changes} - written.summaries.keys()
    summaries = written.summaries | journal.read_summaries(session, missing)
    journal.record(session, changes, summaries, at)
    changed = bool(changes or written.artists_changed)
    return CheckTally(len(new), len(unknown) - len(new), len(written.updates), changed)


def is_new(release: ParsedRelease, now: datetime, *, first: bool) -> bool:
    """Return whether a release is of the last NEW_FOR, or ahead; one without a date is not.

    A date that is only a month or a year counts as its first day in the `first` check of an artist,
    where it is most likely an old one; later as its last day.
    """
    text, since = release.release_date or "", (now - NEW_FOR).date().isoformat()
    if text and not first:
        return text >= since[: len(text)]
    return text + START_OF.get(len(text), "") >= since


def _start_of(release: ParsedRelease) -> datetime:
    """Return the start of a release's day, month or year (UTC)."""
    text = release.release_date or ""
    try:
        day = date.fromisoformat(text + START_OF.get(len(text), ""))
    except ValueError:
        return EARLIEST
    return max(datetime.combine(day, time(), UTC), EARLIEST)


def _newest(check: Check, before: Scheduled) -> str | None:
    """Return the newest release date after a check.

    One that read all lists replaces the known date, which may have been put forward or wrong.
    """
    dates = [each.release_date for each in check.releases if each.release_date]
    in_part = check.way == "search" or check.error or check.not_modified
    if before.newest_release and (in_part or not dates):
        dates.append(before.newest_release)
    return max(dates, default=None)


def _list(session: Session, releases: list[ParsedRelease], at: datetime) -> None:
    """Open listings of new releases."""
    if not releases:
        return
    stored = is_any_of(Album.spotify_id, [each.spotify_id for each in releases])
    rows = session.execute(select(Album.spotify_id, Album.id).where(stored))
    ids = {row.spotify_id: row.id for row in rows}
    common = {"source": FOLLOWED, "market": "", "since": at}
    opened = [
        {"album_id": ids[each.spotify_id], "position": position, **common}
        for position, each in enumerate(releases)
    ]
    insert_rows(session, Listing, opened)


def _list_again(session: Session, artist: str, tally: CheckTally, at: datetime) -> CheckTally:
    """List what is new and in no list, though it was stored before; return the new tally."""
    added = list_again(session, artist, (at - NEW_FOR).date(), at)
    if not added:
        return tally
    summaries = journal.read_summaries(session, [change.album for change in added])
    journal.record(session, added, summaries, at)
    return replace(tally, added=tally.added + len(added), changed=True)


def _see_again(session: Session, artist: str, since: datetime, at: datetime) -> None:
    """Mark the releases of an artist as seen that the last check has seen: nothing has changed."""
    theirs = select(AlbumArtist.album_id).join(Artist).where(Artist.spotify_id == artist)
    seen = update(Album).where(Album.id.in_(theirs), Album.last_seen_at >= since)
    session.execute(seen.values(last_seen_at=at), execution_options=IN_BULK)


def _store(session: Session, rows: list[Scheduled]) -> None:
    """Insert schedules, or replace those of the same artists."""
    if not rows:
        return
    table = cast(Table, ArtistSchedule.__table__)
    given = recordset([asdict(row) for row in rows], [table.c[name] for name in FIELDS])
    statement = insert(table).from_select(FIELDS, select(*given.c))
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.artist],
            set_={name: statement.excluded[name] for name in FIELDS if name != "artist"},
        )
    )
