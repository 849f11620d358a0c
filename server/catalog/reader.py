"""The snapshot read from the database, in four statements.

The latest releases come through two indexes that hold them in order, so the cost does not grow with
the tables.
"""

from typing import Any, get_args

import orjson
from sqlalchemy import select, union
from sqlalchemy.orm import Session, defer

from models import Album, AlbumArtist, Artist
from models.album import LATEST_FIRST
from server.catalog import freshness, versions
from server.catalog.query import AlbumType
from server.catalog.snapshot import HELD, TIMES, AlbumEntry, ArtistEntry, Edition, Snapshot

VARIOUS_ARTISTS = "0LyfQWJT6nXafLPZqxe9Of"  # Spotify's own id for "Various Artists"


def load(session: Session) -> Snapshot:
    """Read the snapshot."""
    albums = session.scalars(_latest_albums()).all()
    credited: dict[int, list[ArtistEntry]] = {album.id: [] for album in albums}
    artists: dict[int, ArtistEntry] = {}
    for album_id, artist in session.execute(_artists_of(list(credited))):
        if artist.id not in artists:
            artists[artist.id] = _artist_entry(artist)
        credited[album_id].append(artists[artist.id])
    entries = tuple(_album_entry(album, tuple(credited[album.id])) for album in albums)
    return Snapshot(entries, freshness.read(session))


def _latest_albums() -> Any:
    """The latest of each type and the latest of all, each through its index."""
    newest = select(Album.id).order_by(*LATEST_FIRST).limit(HELD)
    of_type = (newest.where(Album.album_type == name) for name in get_args(AlbumType))
    windows = union(*(select(each.subquery().c.id) for each in (newest, *of_type)))
    markets = defer(Album.available_markets, raiseload=True)  # long, and not served here
    return select(Album).options(markets).where(Album.id.in_(windows)).order_by(*LATEST_FIRST)


def _artists_of(album_ids: list[int]) -> Any:
    return (
        select(AlbumArtist.album_id, Artist)
        .join(Artist, Artist.id == AlbumArtist.artist_id)
        .where(AlbumArtist.album_id.in_(album_ids))
        .order_by(AlbumArtist.album_id, AlbumArtist.position)
    )


def _artist_entry(artist: Artist) -> ArtistEntry:
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
    return ArtistEntry(artist.spotify_id, artist.name, fields)


def _album_entry(album: Album, artists: tuple[ArtistEntry, ...]) -> AlbumEntry:
    various_artists = any(artist.spotify_id == VARIOUS_ARTISTS for artist in artists)
    fields = {
        "id": album.id,
        "spotify_id": album.spotify_id,
        "type": "album",
        "name": album.name,
        "uri": album.uri,
        "href": album.href,
        "album_type": album.album_type,
        "total_tracks": album.total_tracks,
        "images": album.images,
        "external_urls": album.external_urls,
        "release_date": album.release_date,
        "release_date_precision": album.release_date_precision,
        "released_on": album.released_on,
        "created_at": album.created_at,
        "updated_at": album.updated_at,
        "last_seen_at": album.last_seen_at,
        "various_artists": various_artists,
        "artists": [{"spotify_id": each.spotify_id, "name": each.name} for each in artists],
    }
    return AlbumEntry(
        album.album_type,
        album.created_at,
        orjson.Fragment(orjson.dumps(fields, option=TIMES)),
        artists,
        various_artists,
        _edition(album, artists),
    )


def _edition(album: Album, artists: tuple[ArtistEntry, ...]) -> Edition | None:
    if not artists:
        return None
    main = artists[0].spotify_id
    return versions.recognise(main, album.album_type, album.release_date, album.name)
