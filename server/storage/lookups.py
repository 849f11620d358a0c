"""Single artists and releases, read from the database with all that is shown of them."""

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Listing
from server.catalog.snapshot import TIMES, Found
from server.storage import freshness, snapshots
from server.storage.bulk import is_any_of

SPOTIFY_ID_LENGTH = 22  # characters, which may all be digits
LARGEST_ID = 2**63 - 1  # that a bigint can hold


def read_artist(session: Session, identity: str) -> Found | None:
    """Return an artist's JSON with all stored releases, latest first; None if unknown.

    `identity` is Spotify's id of 22 characters, or ours in digits.
    """
    freshness.as_of_one_moment(session)
    spotify_id = (
        identity if len(identity) == SPOTIFY_ID_LENGTH else _spotify_id(session, int(identity))
    )
    album_ids = (
        select(AlbumArtist.album_id)
        .join(Artist, Artist.id == AlbumArtist.artist_id)
        .where(Artist.spotify_id == spotify_id)
    )
    albums = snapshots.read_entries(session, Album.id.in_(album_ids))
    credited = (artist for album in albums for artist in album.artists)
    artist = next((each for each in credited if each.spotify_id == spotify_id), None)
    if artist is None:
        return None
    return b"".join(artist.pieces([(album.json,) for album in albums])), freshness.read(session)


def _spotify_id(session: Session, identity: int) -> str | None:
    """Return Spotify's id of the artist that has this id of ours."""
    if identity > LARGEST_ID:
        return None
    return session.scalar(select(Artist.spotify_id).where(Artist.id == identity))


def read_album(session: Session, spotify_id: str) -> Found | None:
    """Return a release's JSON with its markets and its listings, newest first; None if unknown."""
    freshness.as_of_one_moment(session)
    albums = snapshots.read_entries(session, Album.spotify_id == spotify_id)
    if not albums:
        return None
    (album,) = albums
    rest = {
        "available_markets": None if album.markets is None else album.markets.split(),
        "history": _history(session, spotify_id),
    }
    whole = album.json[:-1] + b"," + orjson.dumps(rest, option=TIMES)[1:]
    return whole, freshness.read(session)


def read_albums(session: Session, albums: Collection[str]) -> dict[str, bytes]:
    """Return the JSON of releases, as lists have it, by Spotify's id; others are left out."""
    if not albums:
        return {}
    found = snapshots.read_entries(session, is_any_of(Album.spotify_id, albums))
    return {album.spotify_id: album.json for album in found}


def _history(session: Session, spotify_id: str) -> list[dict[str, Any]]:
    rows = session.execute(
        select(Listing.source, Listing.market, Listing.position, Listing.since, Listing.until)
        .join(Album, Album.id == Listing.album_id)
        .where(Album.spotify_id == spotify_id)
        .order_by(Listing.since.desc(), Listing.id.desc())
    )
    return [{**row._asdict(), "market": row.market or None} for row in rows]
