"""Reads releases with their artists, each as the entry that lists are made of."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, any_, func, literal_column, null, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist
from models.album import LATEST_FIRST
from server.catalog import isolation
from server.catalog.release import VARIOUS_ARTISTS, Release
from server.catalog.snapshot import (
    TIMES,
    AlbumEntry,
    ArtistEntry,
    Baseline,
    Edition,
    trimmed,
    utc,
)
from server.observability.omissions import log_left_out
from server.storage.reading import prepared
from server.storage.reading.prepared import Prepared, prepare
from server.storage.reading.sources import BASELINE_COLUMNS

# What the JSON of a release begins with, in its order.
SHOWN: tuple[Any, ...] = (
    Album.id,
    Album.spotify_id,
    literal_column("'album'").label("type"),
    Album.name,
    Album.uri,
    Album.href,
    Album.album_type,
    Album.kind,
    Album.total_tracks,
    Album.images,
    Album.external_urls,
    Album.release_date,
    Album.release_date_precision,
    Album.released_on,
    Album.created_at,
    Album.updated_at,
    Album.last_seen_at,
)
SELECTING = (  # what it is selected and sorted by beside that
    Album.significant_at,
    Album.position,
    Album.folded_name,
    Album.work,
    Album.removed,
)
# As one text, because an album has up to 180 markets, and most albums have the same ones.
MARKETS: Any = func.array_to_string(Album.available_markets, " ").label("markets")
ALBUM_COLUMNS = (*SHOWN, *SELECTING, MARKETS)
ALBUM_KEYS = tuple(str(column.key) for column in SHOWN)
SHOWN_OF_ARTISTS: tuple[Any, ...] = (
    Artist.id,
    Artist.spotify_id,
    literal_column("'artist'").label("type"),
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
)
ARTIST_COLUMNS = (*SHOWN_OF_ARTISTS, Artist.folded_name)
ARTIST_KEYS = tuple(str(column.key) for column in SHOWN_OF_ARTISTS)
NAMED = (Artist.id, Artist.spotify_id, Artist.name, Artist.folded_name)


class Read(NamedTuple):
    """Releases, and what the database held when they were read; None without any."""

    entries: tuple[AlbumEntry, ...]
    baseline: Baseline | None


def latest(condition: Any) -> Select[Any]:
    """Make a statement for `read`: the releases that satisfy `condition`, latest first."""
    columns = *ALBUM_COLUMNS, *BASELINE_COLUMNS
    return select(*columns).where(condition).order_by(*LATEST_FIRST)


def read(session: Session, statement: Select[Any], **parameters: Any) -> Read:
    """Read the releases of a statement with their artists, in two statements.

    A release or an artist whose row cannot be read is left out, and logged (`item_left_out`).
    """
    albums = session.connection().execute(statement, parameters).all()
    entries = _with_credits(session, albums, whole=True)
    baseline = Baseline(*albums[0][len(ALBUM_COLUMNS) :]) if albums else None
    return Read(tuple(entries.values()), baseline)


def read_by_ids(
    session: Session, album_ids: Collection[int], *, markets: bool
) -> dict[int, AlbumEntry]:
    """Read releases by our ids, latest first, for pages, which show less than a snapshot has.

    Their artists have no JSON of their own, and they have markets only if these are wanted.
    """
    albums = _by_ids(markets=markets).run(session, {"albums": list(album_ids)}).all()
    return _with_credits(session, albums, whole=False)


@cache
def _by_ids(*, markets: bool) -> Prepared:
    columns = *SHOWN, *SELECTING, MARKETS if markets else null().label("markets")
    listed = Album.id == any_(prepared.ids("albums"))
    return prepare(select(*columns).where(listed).order_by(*LATEST_FIRST))


def _with_credits(session: Session, albums: Sequence[Any], *, whole: bool) -> dict[int, AlbumEntry]:
    """Make entries of rows with ALBUM_COLUMNS, by our ids, with all artists, `whole` or named."""
    of_credit = artist_entry if whole else _named_artist
    credited: dict[int, list[ArtistEntry]] = {album[0]: [] for album in albums}
    credit_rows = _credits(whole=whole).run(session, {"albums": list(credited)}).all()
    rows = {row.id: row for row in credit_rows}
    made, left_out = isolation.build_each(rows.values(), lambda row: (row.id, of_credit(row)))
    log_left_out("artists", left_out)
    artists = dict(made)
    for row in credit_rows:
        if row.id in artists:
            credited[row.album_id].append(artists[row.id])
    spelled: dict[str, str] = {}  # albums share their lists of markets
    entries, left_out = isolation.build_each(
        albums, lambda album: (album[0], _album_entry(album, tuple(credited[album[0]]), spelled))
    )
    log_left_out("albums", left_out)
    return dict(entries)


@cache
def _credits(*, whole: bool) -> Prepared:
    """Make the statement that reads the artists of `albums`, in the order of the credits."""
    columns = ARTIST_COLUMNS if whole else NAMED
    return prepare(
        select(*columns, AlbumArtist.album_id)
        .join_from(AlbumArtist, Artist, Artist.id == AlbumArtist.artist_id)
        .where(AlbumArtist.album_id == any_(prepared.ids("albums")))
        .order_by(AlbumArtist.album_id, AlbumArtist.position)
    )


def artist_entry(row: Any) -> ArtistEntry:
    """Make an entry of a row with ARTIST_COLUMNS."""
    fields = dict(zip(ARTIST_KEYS, row, strict=False))
    fields["images"] = fields["images"] or []
    json = trimmed(orjson.dumps(fields, option=TIMES))
    return ArtistEntry(row.spotify_id, row.name, json, row.folded_name)


def _named_artist(row: Any) -> ArtistEntry:
    return ArtistEntry(row.spotify_id, row.name, b"", row.folded_name)


def _album_entry(row: Any, artists: tuple[ArtistEntry, ...], spelled: dict[str, str]) -> AlbumEntry:
    """Make an entry of a row with ALBUM_COLUMNS."""
    fields = dict(zip(ALBUM_KEYS, row, strict=False))
    significant_at, position, folded_name, work, removed, markets = row[
        len(SHOWN) : len(ALBUM_COLUMNS)
    ]
    created_at, dated, spotify_id = (
        fields["created_at"],
        fields["release_date"],
        fields["spotify_id"],
    )
    # Times and days that `Release` reads are text already; orjson writes the others alike.
    fields["created_at"] = utc(created_at)
    if fields["released_on"] is not None:
        fields["released_on"] = fields["released_on"].isoformat()
    various_artists = VARIOUS_ARTISTS in [each.spotify_id for each in artists]
    fields["various_artists"] = various_artists
    fields["artists"] = [{"spotify_id": each.spotify_id, "name": each.name} for each in artists]
    return AlbumEntry(
        Release.of(fields, utc(significant_at)),
        fields["album_type"],
        created_at,
        trimmed(orjson.dumps(fields, option=TIMES)),
        artists,
        spotify_id,
        various_artists,
        None if work is None else Edition(work, dated, removed),
        dated,
        "\n".join([folded_name, *[each.folded_name for each in artists]]),
        None if markets is None else spelled.setdefault(markets, f" {markets} "),
        position,
    )
