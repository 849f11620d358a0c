"""A sweep goes into the local copy: one transaction, few statements, however many releases.

Rows travel as one jsonb parameter a statement, so the number of statements is constant. What has
not changed is not written but for its `last_seen_at`. Every function runs in its caller's
transaction.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist
from server.catalog.release import significant, summary
from server.spotify.parse import Credit, Release
from server.spotify.sweep import Sweep, Tally
from server.storage import changes as journal
from server.storage.bulk import IN_BULK, Row, among, insert_rows, upsert_rows
from server.storage.changes import AlbumChange
from server.storage.listings import record_listings
from server.storage.sync_runs import record_run, record_verdicts

CHANNEL = "freshet_synced"  # of NOTIFY; told in the transaction of every sync
WRITERS_LOCK = 0x73796E63  # any number of our own: syncs of several processes queue up
ARTIST_FIELDS = ("name", "uri", "href", "external_urls")
IDENTITY = {"spotify_id", "artists"}
DATE_FIELDS = ("release_date", "release_date_precision", "released_on")
ALBUM_FIELDS = (
    "name",
    "album_type",
    *DATE_FIELDS,
    "total_tracks",
    "uri",
    "href",
    "images",
    "external_urls",
    "available_markets",
)


def record_sweep(
    session: Session,
    sweep: Sweep,
    started_at: datetime,
    now: Callable[[], datetime],
    origin: str = "",
) -> Tally:
    """Update the local copy to what `sweep` saw, store its verdicts, and notify every process.

    The clock `now` is read once the writers' lock is held, so that times do not go back from one
    sync to the next. `origin` is sent with the notice, so that a process recognises its own.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    at, tally = now(), Tally()
    credited = _first_credits(sweep.releases)
    artist_ids = _record_artists(session, credited, at, tally)
    known = _known_albums(session, sweep.releases)
    changes, described = _record_albums(session, sweep.releases, known, credited, artist_ids, at)
    changes += record_listings(session, sweep, started_at, at)
    others = {change.album for change in changes} - described.keys()  # which left, or came back
    journal.record(session, changes, described | journal.describe(session, others), at)
    tally.added = sum(change.kind == "added" for change in changes)
    tally.updated = sum(change.kind == "updated" for change in changes)
    tally.gone = sum(change.kind == "gone" for change in changes)
    tally.new_at = record_run(session, sweep, tally, started_at, at)
    record_verdicts(session, sweep.verdicts)
    session.execute(select(func.pg_notify(CHANNEL, origin)))
    return tally


def _first_credits(releases: list[Release]) -> dict[str, Credit]:
    """Return one credit for each artist, by Spotify's id."""
    credited: dict[str, Credit] = {}
    for release in releases:
        for credit in release.artists:
            credited.setdefault(credit.spotify_id, credit)
    return credited


def _record_artists(
    session: Session, credited: dict[str, Credit], at: datetime, tally: Tally
) -> dict[str, int]:
    """Upsert the credited artists; our id by Spotify's."""
    known = _by_spotify_id(session, Artist, ARTIST_FIELDS, among(Artist.spotify_id, credited))
    rows = []
    for spotify_id, credit in credited.items():
        before = known.get(spotify_id, {})
        says = credit.model_dump(exclude=IDENTITY)
        if _differs(says, before):
            after = _merged(says, before)
            after["uri"] = after["uri"] or f"spotify:artist:{spotify_id}"
            rows.append({"spotify_id": spotify_id, **after, "created_at": at, "updated_at": at})
    tally.artists_changed = len(rows)
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    return ids | upsert_rows(session, Artist, rows, ARTIST_FIELDS)


def _known_albums(session: Session, releases: list[Release]) -> dict[str, Row]:
    """The albums of a sweep that are here already, each with its artists' Spotify ids.

    The credits come in a statement of their own: for a subquery an album, the planner reads whole
    tables again and again while it has no statistics.
    """
    wanted = among(Album.spotify_id, [release.spotify_id for release in releases])
    known = _by_spotify_id(session, Album, (*ALBUM_FIELDS, "significant_at"), wanted)
    credited = session.execute(
        select(Album.spotify_id, Artist.spotify_id)
        .join_from(Album, AlbumArtist)
        .join(Artist)
        .where(wanted)
        .order_by(AlbumArtist.album_id, AlbumArtist.position)
    )
    for album, artist in credited:
        known[album].setdefault("artists", []).append(artist)
    return known


def _by_spotify_id(
    session: Session, model: type[Album | Artist], fields: tuple[str, ...], wanted: Any
) -> dict[str, Row]:
    """Our id and some fields of wanted rows, by Spotify's id."""
    names = ("spotify_id", "id", *fields)
    rows = session.execute(select(*(getattr(model, name) for name in names)).where(wanted))
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}


def _record_albums(
    session: Session,
    releases: list[Release],
    known: dict[str, Row],
    by_artist: dict[str, Credit],
    artist_ids: dict[str, int],
    at: datetime,
) -> tuple[list[AlbumChange], dict[str, Row]]:
    """Upsert what is new or differs, with its credits; touch the rest.

    Returns the updates, and summaries of what was written.
    """
    rows, recredited, changes, described = [], [], [], {}
    for position, release in enumerate(releases):
        before = known.get(release.spotify_id, {})
        says = release.model_dump(exclude=IDENTITY)
        credited = [credit.spotify_id for credit in release.artists]
        if not _differs({**says, "artists": credited}, before):
            continue
        after = _merged(says, before)
        after["uri"] = after["uri"] or f"spotify:album:{release.spotify_id}"
        stamps = {"created_at": at, "updated_at": at, "last_seen_at": at, "position": position}
        artists = credited or before.get("artists")
        stamps["significant_at"] = _significant_at(before, after, artists, at)
        rows.append({"spotify_id": release.spotify_id, **after, **stamps})
        if credited:
            names = [(each, by_artist[each].name) for each in credited]
            described[release.spotify_id] = summary(after, names)
        if credited and credited != before.get("artists"):
            recredited.append((release.spotify_id, credited))
        if before:
            detail = _differences(before, {**after, "artists": artists})
            changes.append(AlbumChange(release.spotify_id, "updated", detail))
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    ids |= upsert_rows(session, Album, rows, (*ALBUM_FIELDS, "significant_at"))
    _record_credits(session, recredited, known, ids, artist_ids)
    session.execute(
        update(Album).where(among(Album.spotify_id, known)).values(last_seen_at=at),
        execution_options=IN_BULK,
    )
    return changes, described


def _record_credits(
    session: Session,
    recredited: list[tuple[str, list[str]]],
    known: dict[str, Row],
    album_ids: dict[str, int],
    artist_ids: dict[str, int],
) -> None:
    """Replace the credits of the albums whose artists differ."""
    again = [album_ids[album] for album, _ in recredited if album in known]
    if again:
        session.execute(
            delete(AlbumArtist).where(AlbumArtist.album_id.in_(again)),
            execution_options=IN_BULK,
        )
    rows = [
        {"album_id": album_ids[album], "position": position, "artist_id": artist_ids[artist]}
        for album, artists in recredited
        for position, artist in enumerate(artists)
    ]
    insert_rows(session, AlbumArtist, rows)


def _significant_at(before: Row, after: Row, artists: Any, at: datetime) -> datetime:
    """Return when anything that feeds tell about last changed, `at` the latest.

    A stored row that cannot be read has changed: it is replaced by what Spotify says now.
    """
    try:
        known = significant(before, before.get("artists")) if before else None
    except (AttributeError, LookupError, TypeError):
        return at
    unchanged: datetime | None = before.get("significant_at")
    return unchanged if unchanged and known == significant(after, artists) else at


def _differs(says: Row, before: Row) -> bool:
    """Whether Spotify says anything that is not known yet; what it leaves out is no difference."""
    return not before or any(value and value != before.get(name) for name, value in says.items())


def _merged(says: Row, before: Row) -> Row:
    """Keep what is known where Spotify does not say: absent is not empty.

    The three fields of a date belong together: a year may follow on a day.
    """
    merged = {name: value if value else before.get(name, value) for name, value in says.items()}
    if says.get("release_date"):
        merged |= {name: says[name] for name in DATE_FIELDS}
    return merged


def _differences(before: Row, after: Row) -> Row:
    """`{field: {"old", "new"}}` of what differs."""
    return {
        name: {"old": before.get(name), "new": value}
        for name, value in after.items()
        if before.get(name) != value
    }
