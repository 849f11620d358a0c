"""Writes releases with their artists and credits: what a sync or a check has found.

Each statement has its rows in one jsonb parameter, so their number is constant. Of rows that have
not changed, only `last_seen_at` is written. Every function runs in the caller's transaction.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, FormerArtist
from server.catalog.parameters import searchable
from server.catalog.release import significant, summary
from server.spotify.object_parser import Credit, ParsedRelease
from server.storage.bulk import IN_BULK, Row, insert_rows, is_any_of, upsert_rows
from server.storage.changes import AlbumChange
from server.storage.reading import derived, former

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


class Renamed(NamedTuple):
    """The name that an artist had, and the one that it has."""

    old: str
    new: str


@dataclass(frozen=True)
class Written:
    """What writing releases has changed, by Spotify's ids of albums.

    `known` were stored before. `updates` are the entries of the journal about albums that have
    changed, or whose artists have another name. `summaries` are those of the albums that were
    written.
    """

    known: frozenset[str]
    updates: list[AlbumChange]
    summaries: dict[str, Row]
    artists_changed: int


def write_releases(
    session: Session,
    releases: list[ParsedRelease],
    at: datetime,
    first_seen: Callable[[ParsedRelease], datetime] | None = None,
) -> Written:
    """Upsert releases with their artists, and mark them as seen at `at`.

    `first_seen` returns when a release that was not stored counts as first seen; `at` without it.
    """
    credited = _first_credits(releases)
    artist_ids, renamed, artists_changed = _record_artists(session, credited, at)
    known = _known_albums(session, releases)
    updates, summaries = _record_albums(
        session, releases, known, credited, artist_ids, at, first_seen or (lambda release: at)
    )
    new = {release.spotify_id for release in releases} - known.keys()
    updates = _with_names(session, updates, renamed, new)
    return Written(frozenset(known), updates, summaries, artists_changed)


def _first_credits(releases: list[ParsedRelease]) -> dict[str, Credit]:
    """Return one credit for each artist, by Spotify's id."""
    credited: dict[str, Credit] = {}
    for release in releases:
        for credit in release.artists:
            credited.setdefault(credit.spotify_id, credit)
    return credited


def _record_artists(
    session: Session, credited: dict[str, Credit], at: datetime
) -> tuple[dict[str, int], dict[str, Renamed], int]:
    """Upsert the credited artists.

    Returns our ids by Spotify's, the artists with another name, and how many have changed.
    """
    fields = (*ARTIST_FIELDS, "folded_name")
    known = _by_spotify_id(session, Artist, fields, is_any_of(Artist.spotify_id, credited))
    rows, former_names, renamed = [], [], {}
    for spotify_id, credit in credited.items():
        before = known.get(spotify_id, {})
        given = credit.model_dump(exclude=IDENTITY)
        if _differs(given, before):
            after = _merged(given, before)
            after["uri"] = after["uri"] or f"spotify:artist:{spotify_id}"
            after["folded_name"] = searchable(after["name"])
            if before and after["name"] != before["name"]:
                renamed[spotify_id] = Renamed(before["name"], after["name"])
                old = {"artist_id": before["id"], "folded_name": before["folded_name"]}
                former_names.append({**old, "changed_at": at})
            rows.append({"spotify_id": spotify_id, **after, "created_at": at, "updated_at": at})
    insert_rows(session, FormerArtist, former_names)
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    content = (*ARTIST_FIELDS, "folded_name")
    return ids | upsert_rows(session, Artist, rows, content), renamed, len(rows)


def _with_names(
    session: Session,
    updates: list[AlbumChange],
    renamed: dict[str, Renamed],
    new: Collection[str],
) -> list[AlbumChange]:
    """Add the new names of artists to the updates of their albums, all but the `new` ones.

    `artist_names` of the detail has the names that differ, by Spotify's id of the artist.
    """
    if not renamed:
        return updates
    rows = session.execute(
        select(Album.spotify_id, Artist.spotify_id)
        .join_from(Album, AlbumArtist)
        .join(Artist)
        .where(is_any_of(Artist.spotify_id, renamed))
        .order_by(Album.id, AlbumArtist.position)
    )
    told = {change.album: change for change in updates}
    for album, artist in rows:
        if album not in new:
            change = told.setdefault(album, AlbumChange(album, "updated"))
            names = change.detail.setdefault("artist_names", {"old": {}, "new": {}})
            names["old"][artist], names["new"][artist] = renamed[artist]
    return list(told.values())


def _known_albums(session: Session, releases: list[ParsedRelease]) -> dict[str, Row]:
    """Read the given releases that are stored already, with their artists' Spotify ids.

    The credits are read by a statement of their own: with a subquery for each album, the planner
    scans whole tables repeatedly while it has no statistics.
    """
    condition = is_any_of(Album.spotify_id, [release.spotify_id for release in releases])
    known = _by_spotify_id(session, Album, (*ALBUM_FIELDS, "significant_at"), condition)
    credited = session.execute(
        select(Album.spotify_id, Artist.spotify_id)
        .join_from(Album, AlbumArtist)
        .join(Artist)
        .where(condition)
        .order_by(AlbumArtist.album_id, AlbumArtist.position)
    )
    for album, artist in credited:
        known[album].setdefault("artists", []).append(artist)
    return known


def _by_spotify_id(
    session: Session, model: type[Album | Artist], fields: tuple[str, ...], condition: Any
) -> dict[str, Row]:
    """Read our id and some fields of rows that satisfy `condition`, by Spotify's id."""
    names = ("spotify_id", "id", *fields)
    rows = session.execute(select(*(getattr(model, name) for name in names)).where(condition))
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}


def _record_albums(
    session: Session,
    releases: list[ParsedRelease],
    known: dict[str, Row],
    by_artist: dict[str, Credit],
    artist_ids: dict[str, int],
    at: datetime,
    first_seen: Callable[[ParsedRelease], datetime],
) -> tuple[list[AlbumChange], dict[str, Row]]:
    """Upsert albums that are new or differ, with their credits; mark the others as seen.

    Returns the updates for the journal, and summaries of the written albums by Spotify's id.
    """
    rows, recredited, changes, described = [], [], [], {}
    moved = []
    for position, release in enumerate(releases):
        before = known.get(release.spotify_id, {})
        given = release.model_dump(exclude=IDENTITY)
        credited = [credit.spotify_id for credit in release.artists]
        if not _differs({**given, "artists": credited}, before):
            continue
        after = _merged(given, before)
        after["uri"] = after["uri"] or f"spotify:album:{release.spotify_id}"
        seen = at if before else first_seen(release)
        stamps = {"created_at": seen, "updated_at": at, "last_seen_at": at, "position": position}
        artists = credited or before.get("artists")
        stamps["significant_at"] = _significant_at(before, after, artists, seen)
        rows.append(
            {"spotify_id": release.spotify_id, **after, **stamps, **_derived(after, artists)}
        )
        if credited:
            names = [(each, by_artist[each].name) for each in credited]
            described[release.spotify_id] = summary(after, names)
        if credited and credited != before.get("artists"):
            recredited.append((release.spotify_id, credited))
        if before:
            detail = _differences(before, {**after, "artists": artists})
            changes.append(AlbumChange(release.spotify_id, "updated", detail))
            moved += [release.spotify_id] if former.DECISIVE & detail.keys() else []
    if moved:
        former.keep_albums(session, is_any_of(Album.spotify_id, moved), at)
    ids = {spotify_id: row["id"] for spotify_id, row in known.items()}
    ids |= upsert_rows(session, Album, rows, (*ALBUM_FIELDS, *derived.OF_ALBUMS, "significant_at"))
    _record_credits(session, recredited, known, ids, artist_ids)
    session.execute(
        update(Album).where(is_any_of(Album.spotify_id, known)).values(last_seen_at=at),
        execution_options=IN_BULK,
    )
    return changes, described


def _derived(album: Row, artists: list[str] | None) -> Row:
    """Return the derived columns of an album with these artists, by Spotify's id."""
    main = artists[0] if artists else None
    return derived.of_album(
        album["name"], album["album_type"], album["total_tracks"], album["release_date"], main
    )


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
    """Return when a field that feeds show last changed; `at` if it changes now.

    A stored row that cannot be read counts as changed, since Spotify's values replace it.
    """
    try:
        known = significant(before, before.get("artists")) if before else None
    except (AttributeError, LookupError, TypeError):
        return at
    unchanged: datetime | None = before.get("significant_at")
    return unchanged if unchanged and known == significant(after, artists) else at


def _differs(given: Row, before: Row) -> bool:
    """Whether Spotify's values differ from the stored ones; absent values are no difference."""
    return not before or any(value and value != before.get(name) for name, value in given.items())


def _merged(given: Row, before: Row) -> Row:
    """Merge Spotify's values with the stored ones, which stay where Spotify's are absent.

    The three fields of a date are replaced together: a year may follow a day.
    """
    merged = {name: value if value else before.get(name, value) for name, value in given.items()}
    if given.get("release_date"):
        merged |= {name: given[name] for name in DATE_FIELDS}
    return merged


def _differences(before: Row, after: Row) -> Row:
    """Return `{field: {"old", "new"}}` of the fields that differ."""
    return {
        name: {"old": before.get(name), "new": value}
        for name, value in after.items()
        if before.get(name) != value
    }
