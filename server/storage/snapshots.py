"""Reads the snapshot that a process serves from, in four statements.

Releases are read through indexes in their order, so the cost does not grow with the tables.
"""

from collections.abc import Collection
from datetime import date
from functools import cache
from typing import Any, NamedTuple, get_args

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    any_,
    bindparam,
    func,
    or_,
    select,
    union,
)
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist
from models.album import LATEST_FIRST, latest_first, nearest_first, seen_first
from server.catalog import isolation
from server.catalog.query import AlbumType, Portion
from server.catalog.release import VARIOUS_ARTISTS, Release, is_upcoming, kind_of
from server.catalog.snapshot import (
    HELD,
    TIMES,
    AlbumEntry,
    ArtistEntry,
    Baseline,
    Depth,
    Edition,
    Snapshot,
    trimmed,
    utc,
)
from server.catalog.zones import zone
from server.observability.omissions import log_left_out
from server.storage import freshness
from server.storage.bulk import is_any_of
from server.storage.listings import listed_on
from server.storage.reading.sources import BASELINE, BASELINE_COLUMNS

OF_ARTISTS = Depth(1000, 500)  # for the artists of one query: 20 releases of each of 50
ALBUM_COLUMNS = (
    Album.id,
    Album.spotify_id,
    Album.name,
    Album.uri,
    Album.href,
    Album.album_type,
    Album.total_tracks,
    Album.images,
    Album.external_urls,
    Album.release_date,
    Album.release_date_precision,
    Album.released_on,
    Album.created_at,
    Album.updated_at,
    Album.last_seen_at,
    Album.significant_at,
    Album.position,
    Album.folded_name,
    Album.work,
    Album.removed,
    # As one text, because an album has up to 180 markets, and most albums have the same ones.
    func.array_to_string(Album.available_markets, " ").label("markets"),
)
# What the windows of some artists' releases are cut by, read once for all windows.
NAMES = ("id", "spotify_id", "album_type", "release_date", "created_at", "position")
ORDERING = tuple(getattr(Album, name) for name in NAMES)
ARTIST_COLUMNS = (
    Artist.id,
    Artist.spotify_id,
    Artist.name,
    Artist.uri,
    Artist.href,
    Artist.external_urls,
    Artist.images,
    Artist.genres,
    Artist.popularity,
    Artist.followers,
    Artist.created_at,
    Artist.updated_at,
    Artist.folded_name,
)
CREDITS = (  # the artists of the releases `album_ids`
    select(AlbumArtist.album_id, *ARTIST_COLUMNS)
    .join(Artist, Artist.id == AlbumArtist.artist_id)
    .where(AlbumArtist.album_id == any_(bindparam("album_ids", type_=ARRAY(BigInteger))))
    .order_by(AlbumArtist.album_id, AlbumArtist.position)
)


class Read(NamedTuple):
    """Releases, and what the database held when they were read; None without any."""

    entries: tuple[AlbumEntry, ...]
    baseline: Baseline | None


def load(session: Session, today: date, depth: Depth = HELD) -> Snapshot:
    """Read the snapshot to serve; `today` is the day in UTC."""
    freshness.as_of_one_moment(session)
    return _cut(session, _latest_held(depth), today, depth)


def _cut(session: Session, latest: Select[Any], today: date, depth: Depth) -> Snapshot:
    """Read a snapshot that is cut at a depth; it is whole if nothing was cut off."""
    read = _read(session, latest, today=today.isoformat())
    upcoming = sum(is_upcoming(each.release_date, today.isoformat()) for each in read.entries)
    whole = max(upcoming, len(read.entries) - upcoming) < depth.overall
    return Snapshot(read.entries, freshness.read(session), depth, read.baseline, whole)


def load_portion(session: Session, portion: Portion, today: date) -> Snapshot:
    """Read the releases listed on a day, or those of artists; `today` is the day in UTC."""
    freshness.as_of_one_moment(session)
    if portion.at is None:
        return _of_artists(session, portion.artists, today)
    listed = listed_on(date.fromisoformat(portion.at), zone(portion.tz))
    return _complete(session, Album.id.in_(listed))


def _complete(session: Session, condition: ColumnElement[bool]) -> Snapshot:
    """Read a snapshot of all releases that satisfy `condition`."""
    read = _read(session, _latest(condition))
    return Snapshot(read.entries, freshness.read(session), None, read.baseline, whole=True)


def _of_artists(session: Session, artists: Collection[str], today: date) -> Snapshot:
    """Read all releases of artists; of artists with more than OF_ARTISTS, down to that depth."""
    found = session.scalars(_credited(artists).limit(OF_ARTISTS.overall + 1)).all()
    if len(found) > OF_ARTISTS.overall:
        return load_of_artists(session, artists, today, OF_ARTISTS)
    return _complete(session, Album.id == any_(bindparam(None, found, ARRAY(BigInteger))))


def load_of_artists(
    session: Session, artists: Collection[str], today: date, depth: Depth = HELD
) -> Snapshot:
    """Read the releases of artists, given by Spotify's ids, down to `depth` in each order.

    `today` is the day in UTC. Each order is cut as in `load`, so that the snapshot stays as small
    however many artists there are.
    """
    theirs = select(*ORDERING).where(Album.id.in_(_credited(artists))).cte("theirs")
    latest = _latest(_held(depth, theirs.c))
    return _cut(session, latest, today, depth)


def _credited(artists: Collection[str]) -> Select[Any]:
    """Select the ids of the releases that artists are credited on, each once."""
    credited = select(AlbumArtist.album_id.label("id")).join(Artist)
    return credited.where(is_any_of(Artist.spotify_id, artists)).distinct()


def read_entries(session: Session, condition: ColumnElement[bool]) -> tuple[AlbumEntry, ...]:
    """Read the releases that satisfy `condition`, with artists, latest first, in two statements.

    A release or an artist whose row cannot be read is left out, and logged (`item_left_out`).
    """
    return _read(session, _latest(condition)).entries


def _latest(condition: ColumnElement[bool]) -> Select[Any]:
    columns = *ALBUM_COLUMNS, *BASELINE_COLUMNS
    return select(*columns).where(condition).order_by(*LATEST_FIRST)


def read_listed(session: Session, spotify_ids: Collection[str]) -> tuple[AlbumEntry, ...]:
    """Read releases by their ids at Spotify, latest first; see `read_entries`."""
    return _read(session, _by_ids(), spotify_ids=list(spotify_ids)).entries


@cache
def _by_ids() -> Select[Any]:
    return _latest(Album.spotify_id == any_(bindparam("spotify_ids", type_=ARRAY(Text))))


@cache
def _latest_held(depth: Depth) -> Select[Any]:
    return _latest(_held(depth))


def _read(session: Session, latest: Select[Any], **parameters: Any) -> Read:
    connection = session.connection()  # without the session's own work for each row
    albums = connection.execute(latest, parameters).all()
    credited: dict[int, list[ArtistEntry]] = {album.id: [] for album in albums}
    credit_rows = connection.execute(CREDITS, {"album_ids": list(credited)}).all()
    rows = {row.id: row for row in credit_rows}
    made, left_out = isolation.build_each(rows.values(), lambda row: (row.id, artist_entry(row)))
    log_left_out("artists", left_out)
    artists = dict(made)
    for row in credit_rows:
        if row.id in artists:
            credited[row.album_id].append(artists[row.id])
    spelled: dict[str, str] = {}  # albums share their lists of markets
    entries, left_out = isolation.build_each(
        albums, lambda album: _album_entry(album, tuple(credited[album.id]), spelled)
    )
    log_left_out("albums", left_out)
    baseline = Baseline(*(albums[0]._mapping[name] for name in BASELINE)) if albums else None
    return Read(tuple(entries), baseline)


def _held(depth: Depth, of: Any = Album) -> ColumnElement[bool]:
    """Select the first releases in each order on the day `today`, of all types and of each type.

    Each part is read through one index. Upcoming releases have a window of their own, the nearest
    first. With `of`, columns of a table of ORDERING, only the releases in it are selected.
    """
    day = bindparam("today", type_=Album.release_date.type)
    out = select(of.id).where(or_(of.release_date.is_(None), of.release_date <= day))
    upcoming = select(of.id).where(of.release_date > day).order_by(*nearest_first(of))
    windows = [upcoming.limit(depth.overall)]
    for order in (latest_first(of), seen_first(of)):
        windows.append(out.order_by(*order).limit(depth.overall))
        for name in get_args(AlbumType):
            of_type = out.where(of.album_type == name)
            windows.append(of_type.order_by(*order).limit(depth.of_type))
    return Album.id.in_(union(*(select(each.subquery().c.id) for each in windows)))


def artist_entry(artist: Any) -> ArtistEntry:
    """Make an entry of a row with ARTIST_COLUMNS."""
    fields = {
        "id": artist.id,
        "spotify_id": artist.spotify_id,
        "type": "artist",
        "name": artist.name,
        "uri": artist.uri,
        "href": artist.href,
        "external_urls": artist.external_urls,
        "images": artist.images or [],
        "genres": artist.genres,
        "popularity": artist.popularity,
        "followers": artist.followers,
        "created_at": artist.created_at,
        "updated_at": artist.updated_at,
    }
    json = trimmed(orjson.dumps(fields, option=TIMES))
    return ArtistEntry(artist.spotify_id, artist.name, json, artist.folded_name)


def _album_entry(
    album: Any, artists: tuple[ArtistEntry, ...], spelled: dict[str, str]
) -> AlbumEntry:
    various_artists = any(artist.spotify_id == VARIOUS_ARTISTS for artist in artists)
    # Times and days that `Release` reads are text already; orjson writes the others alike.
    fields = {
        "id": album.id,
        "spotify_id": album.spotify_id,
        "type": "album",
        "name": album.name,
        "uri": album.uri,
        "href": album.href,
        "album_type": album.album_type,
        "kind": kind_of(album.album_type, album.name, album.total_tracks),
        "total_tracks": album.total_tracks,
        "images": album.images,
        "external_urls": album.external_urls,
        "release_date": album.release_date,
        "release_date_precision": album.release_date_precision,
        "released_on": None if album.released_on is None else album.released_on.isoformat(),
        "created_at": utc(album.created_at),
        "updated_at": album.updated_at,
        "last_seen_at": album.last_seen_at,
        "various_artists": various_artists,
        "artists": [{"spotify_id": each.spotify_id, "name": each.name} for each in artists],
    }
    json = trimmed(orjson.dumps(fields, option=TIMES))
    return AlbumEntry(
        Release.of(fields, utc(album.significant_at)),
        album.album_type,
        album.created_at,
        json,
        artists,
        album.spotify_id,
        various_artists,
        None if album.work is None else Edition(album.work, album.release_date, album.removed),
        album.release_date,
        "\n".join((album.folded_name, *(artist.folded_name for artist in artists))),
        None if album.markets is None else spelled.setdefault(album.markets, f" {album.markets} "),
        album.position,
    )
