"""A sweep goes into the local copy: one transaction, few statements, however many releases.

Rows travel as one jsonb parameter a statement, so the number of statements is constant. What has
not changed is not written but for its `last_seen_at`. Every function runs in its caller's
transaction.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist
from server.catalog.listings import AlbumChange, record_changes, record_listings
from server.catalog.rows import IN_BULK, among, insert_rows, upsert_rows
from server.catalog.runs import record_run
from server.catalog.sweep import Sweep, Tally
from server.spotify.parse import Credit, Release

CHANNEL = "freshet_synced"  # of NOTIFY; told in the transaction of every sync
WRITERS_LOCK = 0x73796E63  # any number of our own: syncs of several processes queue up
ARTIST_FIELDS = ("name", "uri", "href", "external_urls")
ALBUM_FIELDS = (
    "name",
    "album_type",
    "release_date",
    "release_date_precision",
    "released_on",
    "total_tracks",
    "uri",
    "href",
    "images",
    "external_urls",
    "available_markets",
)


def record_sweep(
    session: Session, sweep: Sweep, started_at: datetime, at: datetime, origin: str = ""
) -> Tally:
    """Bring the local copy to what `sweep` saw at time `at`, and tell every process.

    `origin` goes with the notice, so that a process can know its own.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    tally = Tally()
    artist_ids = _record_artists(session, sweep.releases, at, tally)
    known = _known_albums(session, sweep.releases)
    changes = _record_albums(session, sweep.releases, known, artist_ids, at)
    changes += record_listings(session, sweep, at)
    record_changes(session, changes, at)
    tally.added = sum(change.kind == "added" for change in changes)
    tally.updated = sum(change.kind == "updated" for change in changes)
    tally.gone = sum(change.kind == "gone" for change in changes)
    record_run(session, sweep, tally, started_at, at)
    session.execute(select(func.pg_notify(CHANNEL, origin)))
    return tally


def _record_artists(
    session: Session, releases: list[Release], at: datetime, tally: Tally
) -> dict[str, int]:
    """Upsert the credited artists; our id by Spotify's."""
    credited: dict[str, Credit] = {}
    for release in releases:
        for credit in release.artists:
            credited.setdefault(credit.spotify_id, credit)
    columns = [getattr(Artist, name) for name in ("id", "spotify_id", *ARTIST_FIELDS)]
    known = {
        row.spotify_id: row._asdict()
        for row in session.execute(select(*columns).where(among(Artist.spotify_id, credited)))
    }
    rows = []
    for spotify_id, credit in credited.items():
        before = known.get(spotify_id, {})
        after = _merged(credit.model_dump(include=set(ARTIST_FIELDS)), before)
        after["uri"] = after["uri"] or f"spotify:artist:{spotify_id}"
        if any(after[name] != before.get(name) for name in ARTIST_FIELDS):
            rows.append({"spotify_id": spotify_id, **after, "created_at": at, "updated_at": at})
    tally.artists_changed = len(rows)
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    return ids | upsert_rows(session, Artist, rows, ARTIST_FIELDS)


def _known_albums(session: Session, releases: list[Release]) -> dict[str, dict[str, Any]]:
    """The albums of a sweep that are here already, each with its artists' Spotify ids."""
    credits_of_album = (
        select(func.array_agg(aggregate_order_by(Artist.spotify_id, AlbumArtist.position)))
        .join(AlbumArtist, AlbumArtist.artist_id == Artist.id)
        .where(AlbumArtist.album_id == Album.id)
        .scalar_subquery()
    )
    columns = [getattr(Album, name) for name in ("id", "spotify_id", *ALBUM_FIELDS)]
    rows = session.execute(
        select(*columns, credits_of_album.label("artists")).where(
            among(Album.spotify_id, [release.spotify_id for release in releases])
        )
    )
    return {row.spotify_id: row._asdict() for row in rows}


def _record_albums(
    session: Session,
    releases: list[Release],
    known: dict[str, dict[str, Any]],
    artist_ids: dict[str, int],
    at: datetime,
) -> list[AlbumChange]:
    """Upsert what is new or differs, with its credits; touch the rest. Returns the updates."""
    rows, recredited, changes = [], [], []
    for position, release in enumerate(releases):
        before = known.get(release.spotify_id, {})
        after = _merged(release.model_dump(include=set(ALBUM_FIELDS)), before)
        after["uri"] = after["uri"] or f"spotify:album:{release.spotify_id}"
        credited = [credit.spotify_id for credit in release.artists] or before.get("artists") or []
        detail = _differences(before, {**after, "artists": credited})
        if detail:
            stamps = {"created_at": at, "updated_at": at, "last_seen_at": at, "position": position}
            rows.append({"spotify_id": release.spotify_id, **after, **stamps})
            if before:
                changes.append(AlbumChange(release.spotify_id, "updated", detail))
        if "artists" in detail:
            recredited.append((release.spotify_id, credited))
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    ids |= upsert_rows(session, Album, rows, ALBUM_FIELDS)
    _record_credits(session, recredited, known, ids, artist_ids)
    session.execute(
        update(Album).where(among(Album.spotify_id, known)).values(last_seen_at=at),
        execution_options=IN_BULK,
    )
    return changes


def _record_credits(
    session: Session,
    recredited: list[tuple[str, list[str]]],
    known: dict[str, dict[str, Any]],
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


def _merged(values: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Keep what is known where Spotify does not say: absent is not empty."""
    merged = {}
    for name, value in values.items():
        value = list(value) if isinstance(value, tuple) else value
        merged[name] = value if value or name not in before else before[name]
    return merged


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """`{field: {"old", "new"}}` of what differs, dates as text."""
    return {
        name: {"old": before.get(name), "new": value}
        for name, value in after.items()
        if not before or (before.get(name) or None) != (value or None)
    }
