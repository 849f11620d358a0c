"""Which releases and artists of a snapshot a query wants, and in what order. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from server.catalog import titles, versions
from server.catalog.parameters import searchable
from server.catalog.query import ReleaseQuery
from server.catalog.release import is_upcoming
from server.catalog.snapshot import HELD, AlbumEntry, ArtistEntry

Test = Callable[[AlbumEntry], bool]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Listed:
    """An artist of the window with its releases there, newest first."""

    artist: ArtistEntry
    albums: list[AlbumEntry]

    @property
    def spotify_id(self) -> str:
        """The artist's."""
        return self.artist.spotify_id


def artists(releases: Sequence[AlbumEntry], query: ReleaseQuery, today: date) -> list[Listed]:
    """The artists of the window, `releases` being latest first and `today` the day in UTC."""
    listed: dict[str, Listed] = {}
    for album in window(releases, query, today):
        for artist in album.artists:
            listed.setdefault(artist.spotify_id, Listed(artist, [])).albums.append(album)
    return _sorted(list(listed.values()), query.sort, _of_artist, _first_seen)


def albums(releases: Sequence[AlbumEntry], query: ReleaseQuery, today: date) -> list[AlbumEntry]:
    """The releases of the window, `releases` being latest first and `today` the day in UTC."""
    chosen = window(releases, query, today)
    return _sorted(chosen, query.sort, _of_album, lambda album: album.created_at)


def window(releases: Sequence[AlbumEntry], query: ReleaseQuery, today: date) -> list[AlbumEntry]:
    """The latest releases of those that pass every filter, as many as are wanted."""
    if query.type:
        releases = [album for album in releases if album.album_type in query.type]
    releases = releases[:HELD]  # further down only the rarer types are whole
    tests = _tests(query, today)
    if tests:
        releases = [album for album in releases if all(test(album) for test in tests)]
    if "versions" in query.exclude:
        releases = versions.fold(releases)
    return list(releases[: query.release_limit])


def _tests(query: ReleaseQuery, today: date) -> list[Test]:
    tests: list[Test] = []
    if query.upcoming != "include":
        wanted = query.upcoming == "only"
        tests.append(lambda album: is_upcoming(album.release_date, today) is wanted)
    if "various_artists" in query.exclude:
        tests.append(lambda album: not album.various_artists)
    if after := query.released_after:
        tests.append(lambda album: _compared(album.release_date, after) in ("=", ">"))
    if before := query.released_before:
        tests.append(lambda album: _compared(album.release_date, before) in ("=", "<"))
    if market := query.market:
        tests.append(lambda album: album.markets is None or f" {market} " in album.markets)
    if words := searchable(query.q or ""):
        tests.append(lambda album: words in album.text)
    return tests


def _compared(release_date: str | None, bound: str) -> str:
    """How a date stands to another at the coarser precision of the two: `<`, `=`, `>`, or `?`."""
    if release_date is None:
        return "?"
    length = min(len(release_date), len(bound))
    ours, theirs = release_date[:length], bound[:length]
    return "=" if ours == theirs else "<" if ours < theirs else ">"


def _sorted(
    listed: list[Item],
    sort: str,
    name: Callable[[Item], tuple[str, str]],
    seen: Callable[[Item], datetime],
) -> list[Item]:
    """A total order; ascending is descending reversed, so pages never overlap."""
    key = sort.removeprefix("-")
    if key == "name":
        listed = sorted(listed, key=name)
        return listed if sort == "name" else listed[::-1]
    if key == "seen":
        listed = sorted(listed, key=seen, reverse=True)
    return listed if sort.startswith("-") else listed[::-1]


def _of_artist(listed: Listed) -> tuple[str, str]:
    return titles.folded(listed.artist.name), listed.artist.spotify_id


def _of_album(album: AlbumEntry) -> tuple[str, str]:
    return album.text.partition("\n")[0], album.spotify_id


def _first_seen(listed: Listed) -> datetime:
    return max(album.created_at for album in listed.albums)
