"""Which releases and artists of a snapshot a query wants, and in what order. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.catalog import titles, versions
from server.catalog.query import ArtistsQuery
from server.catalog.snapshot import HELD, AlbumEntry, ArtistEntry

Test = Callable[[AlbumEntry], bool]


@dataclass(frozen=True, slots=True)
class Listed:
    """An artist of the window with its releases there, newest first."""

    artist: ArtistEntry
    albums: list[AlbumEntry]


def artists(albums: Sequence[AlbumEntry], query: ArtistsQuery) -> list[Listed]:
    """The artists of the window, `albums` being latest first."""
    listed: dict[str, Listed] = {}
    for album in window(albums, query):
        for artist in album.artists:
            listed.setdefault(artist.spotify_id, Listed(artist, [])).albums.append(album)
    return _sorted(list(listed.values()), query.sort)


def window(albums: Sequence[AlbumEntry], query: ArtistsQuery) -> list[AlbumEntry]:
    """The latest releases of those that pass every filter, as many as are wanted."""
    if query.type:
        albums = [album for album in albums if album.album_type in query.type]
    albums = albums[:HELD]  # further down only the rarer types are whole
    tests = _tests(query)
    if tests:
        albums = [album for album in albums if all(test(album) for test in tests)]
    if "versions" in query.exclude:
        albums = versions.fold(albums)
    return list(albums[: query.release_limit])


def _tests(query: ArtistsQuery) -> list[Test]:
    tests: list[Test] = []
    if "various_artists" in query.exclude:
        tests.append(lambda album: not album.various_artists)
    if after := query.released_after:
        tests.append(lambda album: _compared(album.release_date, after) in ("=", ">"))
    if before := query.released_before:
        tests.append(lambda album: _compared(album.release_date, before) in ("=", "<"))
    if market := query.market:
        tests.append(lambda album: album.markets is None or f" {market} " in album.markets)
    if words := query.q:
        tests.append(lambda album: words in album.text)
    return tests


def _compared(release_date: str | None, bound: str) -> str:
    """How a date stands to another at the coarser precision of the two: `<`, `=`, `>`, or `?`."""
    if release_date is None:
        return "?"
    length = min(len(release_date), len(bound))
    ours, theirs = release_date[:length], bound[:length]
    return "=" if ours == theirs else "<" if ours < theirs else ">"


def _sorted(listed: list[Listed], sort: str) -> list[Listed]:
    """A total order; ascending is descending reversed, so pages never overlap."""
    key = sort.removeprefix("-")
    if key == "name":
        listed = sorted(
            listed, key=lambda each: (titles.folded(each.artist.name), each.artist.spotify_id)
        )
        return listed if sort == "name" else listed[::-1]
    if key == "seen":
        listed = sorted(
            listed, key=lambda each: max(album.created_at for album in each.albums), reverse=True
        )
    return listed if sort.startswith("-") else listed[::-1]
