"""JSON lists: which items a query selects, and their JSON, joined from prepared pieces. Pure."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import orjson

from server.catalog import selection
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.selection import ListedArtist
from server.catalog.snapshot import AlbumEntry, Pieces, Snapshot

MAX_KEY_LENGTH = 1024  # characters; all markets of Spotify together have 560
MAX_KEYS = 256
Item = ListedArtist | AlbumEntry


def select_items(snapshot: Snapshot, query: ReleaseQuery, today: date) -> Sequence[Item]:
    """Return all items that a query selects, in order: artists with their releases, or releases.

    `today` is the day in the zone of the query.
    """
    if isinstance(query, ArtistsQuery):
        return selection.artists(snapshot, query, today)
    return selection.albums(snapshot, query, today)


def write_list(page: Sequence[Item], query: ReleaseQuery, rest: bytes) -> bytes:
    """Write a JSON object: `items`, then the members of `rest`, a JSON object that is not empty."""
    pieces = [b'{"items":[']
    for item in page:
        pieces += _item(item, query)
        pieces.append(b",")
    if page:
        pieces.pop()
    pieces += (b"],", rest[1:])
    return b"".join(pieces)


def _item(item: Item, query: ReleaseQuery) -> Pieces:
    if isinstance(item, AlbumEntry):
        return _album(item, query)
    albums = [_album(album, query) for album in item.albums]
    if isinstance(query, ArtistsQuery) and query.fields:
        return (_some(item, albums, query.fields),)
    return item.artist.pieces(albums)


def _some(item: ListedArtist, albums: list[Pieces], names: tuple[str, ...]) -> bytes:
    """Write an artist with only the named fields."""
    fragments = [orjson.Fragment(b"".join(album)) for album in albums]
    fields = {**orjson.loads(item.artist.json), "latest_album": fragments[0], "albums": fragments}
    return orjson.dumps({name: fields[name] for name in names})


def _album(album: AlbumEntry, query: ReleaseQuery) -> Pieces:
    """Return the JSON of a release, with its markets if the query includes them."""
    if "markets" not in query.include:
        return (album.json,)
    return album.json[:-1], b',"available_markets":', _markets(album.markets), b"}"


def _markets(codes: str | None) -> bytes:
    """Return a list of markets, which most releases share, as JSON."""
    return _known_list(codes) if len(codes or "") <= MAX_KEY_LENGTH else _list(codes)


def _list(codes: str | None) -> bytes:
    return orjson.dumps(None if codes is None else codes.split())


_known_list = lru_cache(MAX_KEYS)(_list)
